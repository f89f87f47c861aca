"""What determines a trial, and when it is evaluated."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mollitune.schedules import Schedule
from mollitune.search.policy.rungs import TOLERANCE

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class TrialSpec:
    """Everything that determines a trial besides the data.

    Arguments:
        model: Name of the model, or ``module:Class``.
        schedule: How the training data are mollified.
        seed: Seed of the initial weights, the batches and the noise.
        steps: Training steps at full budget.
        every: Share of the training between two evaluations, in (0, 1].
        batch_size: Images per step.
        lr: Learning rate of Adam after a linear warm-up over 5 % of the training.
        clip_norm: Norm to which a longer gradient of the loss (nats per dim) is cut; None: never.
        ema: Half-life of the averaged weights that are evaluated, as a share of the training;
            None: the weights themselves are evaluated.
        probe_at: Progress of the rungs that need a cooldown branch, measured at the evaluation
            that such a rung judges.
        probe_extra: Length of such a branch as a share of the steps so far, > 0.
        preset: Where arguments of the model come from that ``hparams`` does not give.
        hparams: Arguments of the model.
        precision: Of the networks in training: ``fp32``, or ``bf16`` by autocast.
    """

    model: str
    schedule: Schedule
    seed: int
    steps: int
    every: float = 1 / 6
    batch_size: int = 128
    lr: float = 1e-3
    clip_norm: float | None = 10.0
    ema: float | None = None
    probe_at: tuple[float, ...] = ()
    probe_extra: float = 0.3
    preset: str = "quick"
    hparams: dict[str, Any] = field(default_factory=dict)
    precision: Precision = "fp32"

    def evaluation_steps(self) -> list[int]:
        """Return the steps after which the model is evaluated; the last one is ``steps``."""
        count = math.ceil(1 / self.every - 1e-9)
        marks = {round(k * self.every * self.steps) for k in range(1, count)}
        return sorted({min(max(mark, 1), self.steps) for mark in marks} | {self.steps})

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


@dataclass(frozen=True)
class Evaluation:
    """What is known of a trial after some steps; the fields are columns of ``reports``.

    Two are not: ``samples`` for a picture, and ``failure``, why the trial cannot go on, if so.
    """

    step: int
    progress: float
    level: float
    phase: str
    fid: float
    kid: float | None
    precision: float | None
    recall: float | None
    fid_infinity: float | None
    bpd: float
    train_loss: float
    non_finite_losses: int
    non_finite_samples: int
    probe_fid: float | None
    probe_steps: int
    step_seconds: float
    eval_seconds: float
    samples: npt.NDArray[np.uint8]
    failure: str | None = None


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
