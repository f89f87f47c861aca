"""From the FIDs of a confirmation to what may be said about its arms."""

import math
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .looks import anytime_critical
from .paired import LEVEL, Interval, critical, paired_interval
from .spread import Array, spread_of

KEPT_SHARE = 0.8
"""Share of the error probability, 1 - level, for arms that were kept; the rest is for the others.

An arm that is out has as many seeds as chance gave it, so its interval must hold for each number.
"""


class Difference(NamedTuple):
    """Mean difference of an arm from the reference in FID, on the same seeds.

    Attributes:
        mean: The mean difference; negative is better than the reference.
        low: Lower end of its interval; None for fewer than two seeds.
        high: Upper end.
        seeds: Number of seeds that both have.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval; None without one."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


class Judgement(NamedTuple):
    """What the FIDs say.

    Attributes:
        differences: For each arm but the reference that shares a seed with it.
        tied: The arms that were kept and cannot be told apart from the best.
        equal: For each arm with a twin what its schedule alone does.
    """

    differences: dict[int, Difference]
    tied: frozenset[int]
    equal: dict[int, Difference]


def judge(
    fids: Mapping[int, Mapping[int, float]],
    reference: int,
    planned: int,
    out: Collection[int] = (),
    level: float = LEVEL,
    twins: Mapping[int, int] = MappingProxyType({}),
    anytime: bool = False,
) -> Judgement:
    """Compare the arms of a confirmation with the reference and with each other.

    All comparisons of arms that were kept are paired t intervals of the same level, for as many
    comparisons as there are other arms, those that are out included. They are on the seeds that
    all kept arms have, and share what these tell of the variance, see `spread_of`. At least with
    probability ``level``

    - all differences to the reference lie in their intervals, and
    - the truly best arm that did not fail is tied: it is not if it seems worse than another arm,
      which may happen with half of `KEPT_SHARE` of ``1 - level``, or if it was dropped, which may
      happen with the rest, see `clearly_out`.

    An arm that beats the reference and the reference itself are never both tied.

    Args:
        fids: For each arm of the confirmation its FIDs by seed; empty for one without any.
        reference: The arm to compare with, vanilla.
        planned: Seeds that an arm gets if it is kept to the end.
        out: The arms that were dropped or have failed.
        level: Probability with which everything holds, in (0, 1).
        twins: For some arms the arm that differs from it in the schedule alone, vanilla at its
            hyperparameters. These intervals are no further comparisons: an arm is said to beat
            vanilla only if both it and its twin are beaten, which can be wrong no more often than
            one of the two statements (an intersection-union test: Berger, 1982).
        anytime: Whether all that holds, holds for all numbers of seeds at once, see `looks`. Then
            each pair has its own variance alone.

    Raises:
        ValueError: If a FID is not finite.
    """
    others = len(fids) - 1
    kept = sorted(arm for arm, own in fids.items() if own and arm not in out)
    against = _Against.of([fids[arm] for arm in kept], others, kept_level(level), anytime)
    # an interval of an arm that is out holds whenever that happened, from two seeds on
    looks = others * (1 if anytime else max(planned - 1, 1))
    place = {arm: i for i, arm in enumerate(kept)}
    differences: dict[int, Difference] = {}
    equal: dict[int, Difference] = {}
    for arm in fids.keys() - {reference}:
        values = _paired(fids[arm], fids.get(reference, {}))
        if values and arm in place and reference in place:
            differences[arm] = against.difference(place[arm], place[reference], values)
        elif values and arm not in place:
            own = out_level(level)
            both = _Against.of([fids[each] for each in (*kept, arm)], looks, own, anytime)
            if reference in place:
                differences[arm] = both.difference(len(kept), place[reference], values)
            else:
                differences[arm] = _alone(values, looks, own, anytime)
    for arm, twin in twins.items():
        values = _paired(fids.get(arm, {}), fids.get(twin, {}))
        equal[arm] = Difference(0.0, None, None, 0)
        if values and arm in place and twin in place:
            equal[arm] = against.difference(place[arm], place[twin], values)
        elif values and arm in place:
            equal[arm] = _alone(values, others, kept_level(level), anytime)
    tied = frozenset(arm for arm in kept if not against.worse[place[arm]])
    return Judgement(differences, tied, equal)


class _Against(NamedTuple):
    """Every arm that was kept against every other, on the seeds that all of them have.

    Attributes:
        table: FIDs, shape (seeds, arms).
        half: Half the widths of the intervals of their mean differences, shape (arms, arms);
            infinite for fewer than two seeds.
    """

    table: Array
    half: Array

    @classmethod
    def of(
        cls,
        fids: Sequence[Mapping[int, float]],
        comparisons: int,
        level: float,
        anytime: bool,
    ) -> Self:
        shared = sorted(set(fids[0]).intersection(*fids[1:])) if fids else []
        table = np.array([[own[seed] for own in fids] for seed in shared], dtype=float)
        table = table.reshape(len(shared), len(fids))
        if not np.isfinite(table).all():
            raise ValueError("FIDs must be finite; leave failed arms out")
        half = np.full((len(fids), len(fids)), math.inf)
        if len(shared) > 1 and len(fids) > 1:
            spread = spread_of(table, pooled=not anytime)
            factor = (
                anytime_critical(len(shared), comparisons, level)
                if anytime
                else critical(comparisons, level, spread.degrees)
            )
            if math.isfinite(factor):
                half = factor * np.sqrt(spread.variance / len(shared))
        return cls(table, half)

    @property
    def worse(self) -> NDArray[np.bool_]:
        """Which arms are clearly worse than some other one."""
        means = self.table.sum(axis=0) / max(len(self.table), 1)
        return np.asarray((means[:, None] - means - self.half > 0).any(axis=1))

    def difference(self, one: int, other: int, values: Sequence[float]) -> Difference:
        """That of two arms by their places; before two common seeds from their own values."""
        seeds = len(self.table)
        half = float(self.half[one, other])
        if not math.isfinite(half):
            return _difference(values, None)
        gap = math.fsum((self.table[:, one] - self.table[:, other]).tolist()) / seeds
        return Difference(gap, gap - half, gap + half, seeds)


def _alone(values: Sequence[float], comparisons: int, level: float, anytime: bool) -> Difference:
    """The difference of two arms from their own values alone."""
    factor = anytime_critical(len(values), comparisons, level) if anytime else None
    return _difference(values, paired_interval(values, comparisons, level, factor))


def kept_level(level: float) -> float:
    """Probability with which all intervals of arms that were kept hold at once."""
    return 1 - KEPT_SHARE * (1 - level)


def out_level(level: float) -> float:
    """The same for arms that are out."""
    return 1 - (1 - KEPT_SHARE) * (1 - level)


def _paired(own: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """Differences on the seeds that both have."""
    return [own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())]


def _difference(values: Sequence[float], interval: Interval | None) -> Difference:
    if interval is None:
        return Difference(sum(values) / len(values), None, None, len(values))
    return Difference(interval.mean, interval.low, interval.high, len(values))
