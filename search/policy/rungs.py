"""Rungs on which the runs of a search are compared at equal age.

While the training data are still mollified, FID measures the leftover noise and not the model, so
stock ASHA promotes the lightest schedules whatever they lead to. Here a rung takes only values on
clean data, or those of cooldown branches, all of the same model at the same age; a run that is
still mollified passes, unjudged.

| A System for Massively Parallel Hyperparameter Tuning (Li et al., 2020)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .comparability import Value, require_alike
from .rules import Judgement, best_share

TOLERANCE = 0.01


@dataclass(frozen=True)
class RungDecision:
    """What a rung says on one value.

    Arguments:
        action: ``stop`` or ``continue``.
        reason: Why, in words.
        cutoff: The value that was needed to go on; None while there were too few to say.
        competitors: Values on the rung, this one included.
    """

    action: str
    reason: str
    cutoff: float | None
    competitors: int


class Rungs:
    """Rungs at some shares of the training, and the values on them.

    A value is judged once, when it arrives, against those that came before it (as in ASHA). A
    rung is never filled later: a run whose first evaluation lies behind it has missed it.

    Arguments:
        marks: Progress of the rungs, rising, in (0, 1).
        eta: Reduction factor, > 1.
        least: Fewer values on a rung stop nobody.
        judge: What a value among others is worth, see `Rule.judge`.

    Example:
        >>> rungs = Rungs(marks=(1 / 3, 2 / 3), eta=3, least=3)
        >>> rungs.passed(0.0, 0.5), rungs.passed(0.5, 0.6), rungs.passed(0.6, 0.7)
        (0, None, 1)
    """

    def __init__(
        self,
        marks: Sequence[float],
        eta: float,
        least: int,
        judge: Callable[[float, Sequence[float], float], Judgement] = best_share,
    ) -> None:
        self.marks = tuple(marks)
        self._judge = judge
        self._eta = eta
        self._least = least
        self._values: defaultdict[tuple[str, int, float, int], list[Value]] = defaultdict(list)

    def passed(self, before: float, now: float) -> int | None:
        """Return the highest rung in (before, now], or None."""
        # evaluations fall on whole steps, so one may come a little before the rung
        found = [i for i, mark in enumerate(self.marks) if before < mark - TOLERANCE <= now]
        return found[-1] if found else None

    def judge(self, rung: int, value: Value, protected: str | None = None) -> RungDecision:
        """Record a value on a rung and decide on it.

        Arguments:
            rung: Index of the rung.
            value: The value.
            protected: Why the run goes on whatever its value, or None.

        Raises:
            UnlikeValuesError: If the rung holds values of this model and age that were measured
                in another way.
        """
        like = value.like
        values = self._values[like.model, like.budget, like.age, rung]
        if values:
            require_alike(values[0], value)
        if not value.finite:
            action = "stop" if protected is None else "continue"
            return RungDecision(action, protected or "the value is not finite", None, len(values))
        values.append(value)
        if len(values) < self._least:
            few = f"fewer than {self._least} values on this rung"
            return RungDecision("continue", few, None, len(values))
        found = self._judge(value.number, [v.number for v in values], self._eta)
        goes_on = found.goes_on or protected is not None
        action = "continue" if goes_on else "stop"
        return RungDecision(action, protected or found.reason, found.cutoff, len(values))
