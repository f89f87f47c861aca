"""What trials cost, and the settings that would keep evaluation to its share of the time.

A plan is what the config asks for, whatever the machine: values that rest on different sample
counts may not be compared, and the same config and seed must give the same search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from mollitune.search.training.spec import Final

SHARE = 0.2
"""Share of a trial's time that evaluation should not exceed by much."""
EVALUATIONS_LEAST = 3
SAMPLES_LEAST = 500
TIMED_STEPS = 3
TIMED_SAMPLES = (64, 320)
ROUNDS = 4
"""Stacks that a worker gets one after the other, at least: a policy learns between them."""
GAIN_LEAST = 1.1  # trials that share a process wait for each other, which takes its part


@dataclass(frozen=True)
class Costs:
    """Measured costs of one model, in seconds.

    Arguments:
        step: One training step.
        evaluation: One evaluation without its samples.
        sample: One sample, from drawing it to its features.
        last: What the last evaluation of a training takes more, per sample.
    """

    step: float
    evaluation: float
    sample: float
    last: float = 0.0

    def of_evaluation(self, samples: int) -> float:
        """Return the seconds of one evaluation."""
        return self.evaluation + samples * self.sample

    def of_plan(self, plan: Plan) -> float:
        """Return the seconds of all evaluations of a trial."""
        return plan.evaluations * self.of_evaluation(plan.samples) + plan.samples * self.last


@dataclass(frozen=True)
class Plan:
    """When and on how many samples the trials of one model are evaluated.

    Arguments:
        every: Share of the training between two evaluations.
        samples: Generated images per evaluation.
        share: Expected share of a trial's time that goes into evaluation; None: not measured.
        gain: How many times faster trials in one process are trained as one than one after the
            other; None: not measured.
        final: Which evaluations make the value of a run.
    """

    every: float
    samples: int
    share: float | None = None
    gain: float | None = None
    final: Final = field(default_factory=Final)

    @property
    def as_one(self) -> bool:
        """Whether trials in one process are trained as one: unless it was measured not to pay."""
        return self.gain is None or self.gain >= GAIN_LEAST

    @property
    def evaluations(self) -> int:
        """Evaluations per trial."""
        return self.on_the_way + self.final.marks - 1

    @property
    def on_the_way(self) -> int:
        """Evaluations at equal distances, the last one with them."""
        return math.ceil(1 / self.every - 1e-9)


def affordable(asked: Plan, steps: int, budget: float, costs: Costs) -> Plan:
    """Return the most thorough plan within a share of the time, or the least one if none is.

    Evaluations are given up first, as long as what remains are some of those that were asked for
    and at least 3, so that a rung at 2/3 of the training stays; then samples, down to 500.

    Args:
        asked: What the config asks for; nothing beyond it is chosen.
        steps: Training steps of a whole trial.
        budget: Largest share of a trial's time for evaluation, in (0, 1).
        costs: Measured costs of the model.

    Example:
        >>> costs = Costs(step=0.01, evaluation=0.05, sample=0.001)
        >>> affordable(Plan(1 / 6, 2000), steps=1500, budget=0.2, costs=costs).samples
        1200
    """
    plans = [with_share(plan, steps, costs) for plan in _candidates(asked, steps, budget, costs)]
    fitting = (plan for plan in plans if plan.share is not None and plan.share <= budget + 1e-9)
    return next(fitting, plans[-1])


def with_share(plan: Plan, steps: int, costs: Costs) -> Plan:
    """Return a plan with the share of a trial's time that its evaluations take."""
    evaluating = costs.of_plan(plan)
    return replace(plan, share=evaluating / (evaluating + steps * costs.step))


def measure_costs(evaluate: Callable[[int, int], tuple[float, float, float]]) -> Costs:
    """Time a model by two short runs.

    Args:
        evaluate: Trains for a number of steps, evaluates on a number of samples, and returns the
            seconds of a step, of an evaluation, and what the last one takes more.
    """
    few, many = TIMED_SAMPLES
    _, small, _ = evaluate(TIMED_STEPS, few)
    step, large, more = evaluate(TIMED_STEPS, many)  # warm by now
    sample = max(large - small, 0.0) / (many - few)
    return Costs(step, max(large - many * sample, 0.0), sample, max(more, 0.0) / many)


def _candidates(asked: Plan, steps: int, budget: float, costs: Costs) -> Iterator[Plan]:
    count, more = asked.on_the_way, asked.final.marks - 1
    least = min(count, EVALUATIONS_LEAST)
    fewer = [n for n in range(count, least - 1, -1) if count % n == 0]
    for n in fewer:
        yield replace(asked, every=asked.every * count / n)
    n = fewer[-1]
    available = budget / (1 - budget) * steps * costs.step / (n + more) - costs.evaluation
    each = costs.sample + costs.last / (n + more)
    affordable = int(available / each) if each > 0 else asked.samples
    samples = min(asked.samples, max(SAMPLES_LEAST, affordable // 100 * 100))
    yield replace(asked, every=asked.every * count / n, samples=samples)


def stack_size(most: int, runs: int, workers: int) -> int:
    """Return how many trials each process takes at a time.

    Args:
        most: What the config allows.
        runs: Trials to be run.
        workers: Processes at once.

    Example:
        >>> stack_size(16, 24, 2), stack_size(16, 1000, 2)
        (3, 16)
    """
    return max(1, min(most, math.ceil(runs / (ROUNDS * workers))))
