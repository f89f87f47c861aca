"""How what a schedule does moves with the budget: where it starts to pay, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import digamma

from .paired import LEVEL, Interval, critical, standard_deviation

CROSSING_LEVEL = 0.9
"""Probability with which the interval of a crossing holds."""
_GRID = 200  # places between two budgets at which the interval is looked for
_SHARED_FROM = 5
"""Seeds from which budgets tell of each other's spread; with fewer that errs in 8 % (measured)."""

_LENT = 3
"""So many times its own degrees of freedom a budget has with those of the others: not all of them,
as no spread lies on the line exactly. Chosen so that a trend errs in less than 5 %."""

Kind = Literal["starts", "stops", "pays", "costs", "open"]


class Rung(NamedTuple):
    """A budget and what a schedule does there.

    Attributes:
        budget: Training steps, or images.
        seeds: Paired seeds.
        interval: Mean difference from vanilla, negative being better, with its interval; those of
            all budgets hold at once. None with fewer than two seeds.
    """

    budget: int
    seeds: int
    interval: Interval | None

    @property
    def sign(self) -> int:
        """-1 where the schedule is better for sure, 1 where it is worse, 0 where it is open."""
        if self.interval is None:
            return 0
        return (self.interval.low > 0) - (self.interval.high < 0)


class Crossing(NamedTuple):
    """The budget at which the sign changes.

    Attributes:
        at: Where the mean difference is zero, by interpolation in the logarithm of the budget.
        low: Lower end of its interval, of probability `CROSSING_LEVEL`.
        high: Upper end.
    """

    at: float
    low: float
    high: float


@dataclass(frozen=True)
class Trend:
    """What may be said of one schedule over several budgets.

    Attributes:
        rungs: The budgets, rising.
        kind: ``starts`` to pay, ``stops`` paying, ``pays`` or ``costs`` at all budgets, or
            ``open``.
        crossing: Where it starts or stops; None otherwise.
        unit: What budgets are counted in.
    """

    rungs: tuple[Rung, ...]
    kind: Kind
    crossing: Crossing | None = None
    unit: str = "steps"

    def sentence(self, name: str) -> str:
        """It in one honest sentence.

        Args:
            name: How to call the schedule.
        """
        if self.crossing is not None:
            what = "starts to pay" if self.kind == "starts" else "stops paying"
            at, low, high = (f"{_rounded(value):,}" for value in self.crossing)
            sure = f"{100 * CROSSING_LEVEL:.0f} %"
            return f"{name} {what} at about {at} {self.unit} ({low} to {high}, {sure})"
        if self.kind != "open":
            verb = "beats vanilla" if self.kind == "pays" else "is worse than vanilla"
            return f"{name} {verb} at {_all_of(self.rungs, self.unit)}"
        known = [
            f"{verb} at {_named(own)}"
            for sign, verb in ((-1, "beats vanilla"), (1, "is worse"))
            if (own := [rung for rung in self.rungs if rung.sign == sign])
        ]
        unknown = _named([rung for rung in self.rungs if rung.sign == 0])
        if not unknown:
            return f"{name} {' and '.join(known)} {self.unit}: its effect changes more than once"
        start = f"{' and '.join(known)}; " if known else ""
        return f"{name} {start}cannot be told apart from vanilla at {unknown} {self.unit}"


def trend(
    differences: Mapping[int, Sequence[float]], unit: str = "steps", level: float = LEVEL
) -> Trend:
    """Say how the difference of a schedule from vanilla moves with the budget.

    The t intervals of all budgets hold at once with probability ``level``, and a trend is claimed
    from their signs alone: so it errs with at most 1 - ``level``. Where the sign changes once for
    sure, the crossing lies between the last budget before and the first one after. Between two
    measured budgets the mean is interpolated linearly in the logarithm of the budget, and the
    interval of the crossing holds the budgets at which that mean cannot be told from zero
    (inversion of a test, as Fieller's).

    A few seeds tell little of the spread between seeds. From three budgets and five seeds on, a
    line through the logarithms of all spreads, over log budget, lends its degrees of freedom; no
    budget is credited with less than its own spread. ``benchmarks/trend.py`` simulates all of it.

    Args:
        differences: For each budget one difference per paired seed, arm minus vanilla.
        unit: What budgets are counted in.
        level: Probability with which everything holds, in (0, 1).

    Raises:
        ValueError: If there is no budget, or one is not positive.

    Example:
        >>> found = trend({300: [5.1, 5.9, 5.5], 1200: [0.2, -0.1, 0.1], 4800: [-6.2, -5.7, -6.0]})
        >>> found.sentence("sigmoid")
        'sigmoid starts to pay at about 1,200 steps (1,200 to 1,300, 90 %)'
    """
    if not differences or min(differences) <= 0:
        raise ValueError(f"budgets must be positive, got {sorted(differences)}")
    budgets = sorted(differences)
    means = list(_means({budget: differences[budget] for budget in budgets}))
    rungs = tuple(
        Rung(b, len(differences[b]), mean.interval(len(budgets), level))
        for b, mean in zip(budgets, means, strict=True)
    )
    signs = [(rung.sign, i) for i, rung in enumerate(rungs) if rung.sign]
    changes = [(i, j) for (one, i), (other, j) in pairwise(signs) if one != other]
    if len(changes) == 1:
        first, last = changes[0]
        between = slice(first, last + 1)
        kind: Kind = "starts" if rungs[first].sign > 0 else "stops"
        return Trend(rungs, kind, _crossing(budgets[between], means[between]), unit)
    if not changes and len(signs) == len(rungs):
        return Trend(rungs, "pays" if signs[0][0] < 0 else "costs", None, unit)
    return Trend(rungs, "open", None, unit)


class _Mean(NamedTuple):
    """A mean difference, the variance of that mean, and the degrees of freedom behind this."""

    value: float
    variance: float
    degrees: float

    def interval(self, comparisons: int, level: float) -> Interval | None:
        if self.degrees <= 0:
            return None
        half = critical(comparisons, level, self.degrees) * math.sqrt(self.variance)
        return Interval(self.value, self.value - half, self.value + half)

    def towards(self, other: _Mean, weight: float) -> _Mean:
        """Interpolate; degrees of freedom are Satterthwaite's, or those that both share."""
        value = (1 - weight) * self.value + weight * other.value
        parts = (1 - weight) ** 2 * self.variance, weight**2 * other.variance
        variance = sum(parts)
        degrees = min(self.degrees, other.degrees)
        if variance and self.degrees > 0 and other.degrees > 0:
            own = parts[0] ** 2 / self.degrees + parts[1] ** 2 / other.degrees
            degrees = variance**2 / own
        return _Mean(value, variance, degrees)


def _means(differences: Mapping[int, Sequence[float]]) -> Iterator[_Mean]:
    counts = [len(values) for values in differences.values()]
    spreads = [standard_deviation(v) if len(v) > 1 else 0.0 for v in differences.values()]
    shared = len(counts) > 2 and min(counts) >= _SHARED_FROM and min(spreads) > 0
    fitted = _fitted(list(differences), spreads, counts) if shared else [0.0] * len(counts)
    for values, own, line in zip(differences.values(), spreads, fitted, strict=True):
        count = len(values)
        variance = max(own, line) ** 2 / count
        yield _Mean(
            math.fsum(values) / count, variance, _LENT * (count - 1) if shared else count - 1
        )


def _fitted(
    budgets: Sequence[int], spreads: Sequence[float], counts: Sequence[int]
) -> list[float]:
    """Spreads of a line through their logarithms, over the logarithm of the budget."""
    half = (np.array(counts) - 1) / 2
    # the logarithm of an estimated variance is too low on average, by a known amount
    logs = 2 * np.log(spreads) - (digamma(half) - np.log(half))
    x = np.log(budgets)
    slope, level = np.polyfit(x, logs, 1)
    found: list[float] = np.exp((slope * x + level) / 2).tolist()
    return found


def _crossing(budgets: Sequence[int], means: Sequence[_Mean]) -> Crossing:
    """Look for zeros between the first and the last budget, which differ in sign for sure."""
    open_at: list[float] = []
    zeros: list[float] = []
    for (left, own), (right, other) in pairwise(zip(budgets, means, strict=True)):
        before = own.value
        for k in range(_GRID + 1):
            place, mean = left * (right / left) ** (k / _GRID), own.towards(other, k / _GRID)
            interval = mean.interval(1, CROSSING_LEVEL)
            if interval is None or interval.low <= 0 <= interval.high:
                open_at.append(place)
            if before * mean.value <= 0:
                zeros.append(place)
            before = mean.value
    at = math.sqrt(zeros[0] * zeros[-1])  # the means may cross three times where little is known
    return Crossing(at, min([at, *open_at]), max([at, *open_at]))


def _rounded(value: float) -> int:
    """A budget to two digits."""
    return int(float(f"{value:.2g}"))


def _named(rungs: Sequence[Rung]) -> str:
    names = [f"{rung.budget:,}" for rung in rungs]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _all_of(rungs: Sequence[Rung], unit: str) -> str:
    if len(rungs) == 1:
        return f"the {rungs[0].budget:,} {unit} measured"
    several = "both" if len(rungs) == 2 else f"all {len(rungs)}"
    return f"{several} budgets measured, {rungs[0].budget:,} to {rungs[-1].budget:,} {unit}"
