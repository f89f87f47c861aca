"""What determines a trial, and when it is evaluated."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mollitune.schedules import Schedule
from mollitune.search.policy.rungs import TOLERANCE

from .settings import Training


@dataclass(frozen=True)
class Final:
    """Which evaluations make the value of a complete training: their mean counts.

    The last evaluation alone has more noise: the weights still move at a constant learning rate.
    Where training ends in overfitting, as on small tables, the best one is what the field reports.

    Arguments:
        marks: How many, >= 1; they are equally far apart, and the last one is at the end.
        share: In which last part of the training they are, in (0, 1).
        best: Instead, the weights of the evaluation with the lowest negative log-likelihood of
            validation data are evaluated again at the end, and stay; ``marks`` is 1 then.

    Example:
        >>> [round(mark, 3) for mark in Final(3, 0.1).progress()]
        [0.9, 0.95, 1.0]
    """

    marks: int = 1
    share: float = 0.1
    best: bool = False

    def progress(self) -> list[float]:
        """Return the share of the training that is done at each of them."""
        if self.marks == 1:
            return [1.0]
        return [1 - self.share * (1 - k / (self.marks - 1)) for k in range(self.marks)]

    def __str__(self) -> str:
        if self.best:
            return f"{BEST} on validation data"
        if self.marks == 1:
            return LAST
        return f"mean of {self.marks} in the last {100 * self.share:.3g} % of training"


LAST, BEST = "last", "best"


@dataclass(frozen=True)
class TrialSpec:
    """Everything that determines a trial besides the data.

    Arguments:
        model: Name of the model, or ``module:Class``.
        schedule: How the training data are mollified.
        seed: Seed of the initial weights, the batches and the noise.
        steps: Training steps at full budget.
        every: Share of the training between two evaluations, in (0, 1].
        training: How the model is trained.
        probe_at: Progress of the rungs that need a cooldown branch, measured at the evaluation
            that such a rung judges.
        probe_extra: Length of such a branch as a share of the steps so far, > 0.
        final: Which evaluations make its value.
    """

    model: str
    schedule: Schedule
    seed: int
    steps: int
    every: float = 1 / 6
    training: Training = field(default_factory=Training)
    probe_at: tuple[float, ...] = ()
    probe_extra: float = 0.3
    final: Final = Final()

    def evaluation_steps(self) -> list[int]:
        """Return the steps after which the model is evaluated; the last one is ``steps``."""
        count = math.ceil(1 / self.every - 1e-9)
        marks = {self._step(k * self.every) for k in range(1, count)}
        return sorted(marks | set(self.final_steps()))

    def final_steps(self) -> list[int]:
        """Return the steps after which the evaluations of ``final`` are due, the last one last."""
        return sorted({self._step(mark) for mark in self.final.progress()})

    def _step(self, progress: float) -> int:
        return min(max(round(progress * self.steps), 1), self.steps)

    def probe_steps(self) -> set[int]:
        """Return the steps at which a cooldown branch is measured: none at full budget."""
        steps = [step for step in self.evaluation_steps() if step < self.steps]
        # the very comparison of `Rungs.passed`, so that no rounding parts a rung and its branch
        marks = [mark - TOLERANCE for mark in self.probe_at]
        passed = [[s for s in steps if 0 < mark <= s / self.steps] for mark in marks]
        return {later[0] for later in passed if later}


@dataclass(frozen=True)
class Probe:
    """FID after a cooldown branch, and the steps that the branch took."""

    fid: float
    steps: int


CLEAN_SHARE = 0.2


def cooldown_steps(step: int, extra: float) -> int:
    """Return the length of a branch at ``step``, in steps: ``extra`` of the steps so far."""
    return max(1, round(extra * step))


def cooldown(schedule: Schedule, progress: float, steps: int) -> list[float]:
    """Return the schedule's progress at each step of a branch.

    The rest of the mollified phase is compressed into the first 80 % of the steps; the last 20 %,
    but at least one, train on clean data. Where the data are clean already, the branch simply
    trains on.

    Args:
        schedule: The schedule of the training.
        progress: Share of the training that is done, in [0, 1].
        steps: Length of the branch, >= 1.

    Example:
        >>> from mollitune.schedules import Linear
        >>> cooldown(Linear(until=0.9), 0.5, 5)
        [0.5, 0.6, 0.7, 0.8, 0.9]
    """
    end = max(progress, schedule.until)
    clean = max(1, int(CLEAN_SHARE * steps))
    rest, warm = end - progress, (1 - CLEAN_SHARE) * steps
    # `end` itself for the clean steps: a rounding error below it would leave a trace of the level
    return [progress + rest * k / warm for k in range(steps - clean)] + [end] * clean
