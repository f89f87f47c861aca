"""From the FIDs of a confirmation to what may be said about its arms."""

from collections.abc import Collection, Mapping
from itertools import permutations
from typing import NamedTuple

from .paired import LEVEL, Interval, paired_interval

KEPT_SHARE = 0.8
"""Share of the error probability, 1 - level, for arms that were kept; the rest is for the others.

An arm that is out has as many seeds as chance gave it, so its interval must hold for each number.
"""


class Difference(NamedTuple):
    """Mean FID of an arm less that of the reference on the same seeds.

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


class Judgement(NamedTuple):
    """What the FIDs say.

    Attributes:
        differences: For each arm but the reference that shares a seed with it.
        tied: The arms that were kept and cannot be told apart from the best.
    """

    differences: dict[int, Difference]
    tied: frozenset[int]


def judge(
    fids: Mapping[int, Mapping[int, float]],
    reference: int,
    planned: int,
    out: Collection[int] = (),
    level: float = LEVEL,
) -> Judgement:
    """Compare the arms of a confirmation with the reference and with each other.

    All comparisons are paired t intervals of one width: `paired_interval` for as many comparisons
    as there are arms beside the reference, dropped and failed ones included. At least with
    probability ``level`` all differences to the reference lie in their intervals, and the truly
    best of the arms is tied: it drops out only if it seems worse than some other arm, which has
    half of `KEPT_SHARE` of ``1 - level``, or in the elimination, see `clearly_out`. An arm whose
    interval lies below zero and the reference are never both tied.

    Args:
        fids: For each arm of the confirmation its FIDs by seed; empty for one without any.
        reference: The arm to compare with, vanilla.
        planned: Seeds that an arm gets if it is kept to the end.
        out: The arms that were dropped or have failed.
        level: Probability with which everything holds, in (0, 1).

    Raises:
        ValueError: If a FID is not finite.
    """
    arms, paired = len(fids), fids.get(reference, {})
    differences = {}
    for arm, own in fids.items():
        shared = sorted(own.keys() & paired.keys())
        if arm == reference or not shared:
            continue
        values = [own[seed] - paired[seed] for seed in shared]
        interval = _interval(values, arms, level, planned if arm in out else None)
        mean = sum(values) / len(values)
        low, high = (None, None) if interval is None else interval[1:]
        differences[arm] = Difference(mean, low, high, len(shared))
    kept = {arm: own for arm, own in fids.items() if own and arm not in out}
    worse = {
        arm
        for arm, other in permutations(kept, 2)
        if _is_worse(kept[arm], kept[other], arms, level)
    }
    return Judgement(differences, frozenset(kept) - worse)


def kept_level(level: float) -> float:
    """Probability with which all intervals of arms that were kept hold at once."""
    return 1 - KEPT_SHARE * (1 - level)


def _is_worse(
    own: Mapping[int, float], other: Mapping[int, float], arms: int, level: float
) -> bool:
    values = [own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())]
    if not values or sum(values) <= 0:
        return False
    interval = _interval(values, arms, level, None)
    return interval is not None and interval.low > 0


def _interval(values: list[float], arms: int, level: float, sizes: int | None) -> Interval | None:
    """The interval of an arm that was kept, or of one that is out at one of so many sizes."""
    if sizes is None:
        return paired_interval(values, arms - 1, kept_level(level))
    anywhere = (arms - 1) * max(sizes - 1, 1)
    return paired_interval(values, anywhere, 1 - (1 - KEPT_SHARE) * (1 - level))
