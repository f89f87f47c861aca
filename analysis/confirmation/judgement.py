"""From the FIDs of a confirmation to what may be said about its arms."""

from collections.abc import Collection, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from .paired import LEVEL, Interval, paired_interval, standard_deviation

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
) -> Judgement:
    """Compare the arms of a confirmation with the reference and with each other.

    All comparisons of arms that were kept are paired t intervals of the same level, see
    `paired_interval`, for as many comparisons as there are other arms, those that are out
    included. At least with probability ``level``

    - all differences to the reference lie in their intervals, and
    - the truly best arm that did not fail is tied: it is not if it seems worse than another arm,
      which may happen with half of `KEPT_SHARE` of ``1 - level``, or if it was dropped, which may
      happen with the rest, see `clearly_out`.

    An arm that beats the reference and the reference itself are never both tied.

    With a few seeds some pair may spread little by luck, above all if the noise is skewed. So no
    pair counts as spreading less than the second least of all pairs (from 9 arms on: the k-th
    least, where k is a third of the arms). That can only widen an interval.

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

    Raises:
        ValueError: If a FID is not finite.
    """
    others = len(fids) - 1
    kept = [arm for arm, own in fids.items() if own and arm not in out]
    pairs = {(a, b): _paired(fids[a], fids[b]) for a, b in combinations(kept, 2)}
    least = _least_sd(list(pairs.values()), len(kept))
    differences: dict[int, Difference] = {}
    worse = set()
    for (a, b), values in pairs.items():
        interval = paired_interval(values, others, kept_level(level), least)
        if interval is not None and interval.low > 0:
            worse.add(a)
        if interval is not None and interval.high < 0:
            worse.add(b)
        if values and reference == b:
            differences[a] = _difference(values, interval)
        if values and reference == a:
            differences[b] = _difference([-value for value in values], _flipped(interval))
    for arm in fids.keys() - set(kept) - {reference}:
        values = _paired(fids[arm], fids.get(reference, {}))
        if values:
            differences[arm] = _difference(values, _any_size(values, others, planned, level))
    equal: dict[int, Difference] = {}
    for arm, twin in twins.items():
        values = _paired(fids.get(arm, {}), fids.get(twin, {}))
        equal[arm] = Difference(0.0, None, None, 0)
        if arm in kept and values:
            spread = least if twin in kept else 0.0
            equal[arm] = _difference(
                values, paired_interval(values, others, kept_level(level), spread)
            )
    return Judgement(differences, frozenset(kept) - worse, equal)


def kept_level(level: float) -> float:
    """Probability with which all intervals of arms that were kept hold at once."""
    return 1 - KEPT_SHARE * (1 - level)


def _paired(own: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """Differences on the seeds that both have."""
    return [own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())]


def _least_sd(pairs: list[list[float]], arms: int) -> float:
    """The least standard deviation that a pair of so many arms is credited with.

    Three arms have too few pairs: if one spreads far more, so do two of the three.
    """
    spreads = sorted(standard_deviation(values) for values in pairs if len(values) > 1)
    rank = max(2, arms // 3) if arms > 3 else 1
    return spreads[min(rank, len(spreads)) - 1] if spreads else 0.0


def _any_size(values: list[float], others: int, planned: int, level: float) -> Interval | None:
    """The interval of an arm that is out: it holds whenever that happened, from two seeds on."""
    sizes = max(planned - 1, 1)
    return paired_interval(values, others * sizes, 1 - (1 - KEPT_SHARE) * (1 - level))


def _flipped(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    return Interval(-interval.mean, -interval.high, -interval.low)


def _difference(values: list[float], interval: Interval | None) -> Difference:
    if interval is None:
        return Difference(sum(values) / len(values), None, None, len(values))
    return Difference(interval.mean, interval.low, interval.high, len(values))
