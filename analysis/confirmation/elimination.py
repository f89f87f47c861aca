"""Which arms of a confirmation are clearly out before all seeds are spent.

After each complete round every arm is compared with every other by a paired t test, whose variance
all arms share as far as they are alike, see `spread`.

With two seeds there are few degrees of freedom, which find nothing; so the first look comes
after three.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from mollitune.analysis.words import fid_text

from .looks import anytime_critical
from .paired import LEVEL
from .spread import Array, spread_of

FIRST_LOOK = 3
"""Seeds that each arm must have before any is dropped."""
SHARE = 0.6
"""Share of the error probability, 1 - level, that dropping arms may use up in all."""


def clearly_out(
    fids: Mapping[int, Mapping[int, float]],
    reference: int,
    planned: int,
    arms: int | None = None,
    level: float = LEVEL,
    anytime: bool = False,
) -> dict[int, str]:
    """Tell which arms need no more seeds, after a complete round.

    An arm is clearly out if it is significantly worse than another arm that is still in. Over a
    whole confirmation the truly best arm is dropped with at most probability `SHARE` of
    ``1 - level``, which is spread evenly over the looks (3 seeds to one less than planned) and
    the comparisons of one arm with the others.

    Args:
        fids: For each arm that is still in, its FIDs by seed. Only seeds that all of them share
            are used; an arm without any run is left aside.
        reference: The arm that is never dropped, vanilla.
        planned: Seeds that an arm gets if it is kept to the end.
        arms: With how many arms the confirmation began; by default those in ``fids``.
        level: Probability with which all statements of the confirmation hold, in (0, 1).
        anytime: Whether looks are not counted, as each holds with all others, see `looks`.

    Returns:
        The arms that are out, with the reason in words; never the reference.

    Raises:
        ValueError: If a FID is not finite.
    """
    tried = sorted(arm for arm, own in fids.items() if own)
    shared = sorted(set.intersection(*(set(fids[arm]) for arm in tried))) if tried else []
    looks = range(FIRST_LOOK, planned)
    if len(shared) not in looks or len(tried) < 2:
        return {}
    values = np.array([[fids[arm][seed] for arm in tried] for seed in shared])
    if not np.isfinite(values).all():
        raise ValueError("FIDs must be finite; leave failed arms out")
    others = max(len(tried), arms or 0) - 1
    allowed = SHARE * (1 - level) / others
    needed = (
        _needed_at_any_time(values, allowed) if anytime else _needed(values, allowed / len(looks))
    )
    return {
        tried[loss.arm]: _reason(loss, tried, len(shared))
        for loss in _losses(values, needed)
        if tried[loss.arm] != reference
    }


class _Loss(NamedTuple):
    """One arm that is significantly worse than another, by its position."""

    arm: int
    better: int
    gap: float
    needed: float


def _losses(values: Array, needed: Array) -> Iterator[_Loss]:
    """For each arm that is worse than another by more than is needed, the clearest such case."""
    means = values.mean(axis=0)
    gaps = means[:, None] - means[None, :]
    for arm, margins in enumerate(gaps - needed):
        better = int(margins.argmax())
        if margins[better] > 0:
            yield _Loss(arm, better, float(gaps[arm, better]), float(needed[arm, better]))


def _needed(values: Array, allowed: float) -> Array:
    """Mean differences, shape (arms, arms), that are significant at the one-sided level."""
    spread = spread_of(values)
    error: Array = np.sqrt(spread.variance / len(values))
    return -float(stdtrit(spread.degrees, allowed)) * error


def _needed_at_any_time(values: Array, allowed: float) -> Array:
    """The same, where the level holds for all numbers of seeds at once."""
    count = len(values)
    factor = anytime_critical(count, 1, 1 - allowed)
    if math.isinf(factor):
        return np.full((values.shape[1],) * 2, math.inf)
    error: Array = np.sqrt(spread_of(values, pooled=False).variance / count)
    return factor * error


def _reason(loss: _Loss, arms: list[int], seeds: int) -> str:
    return (
        f"after {seeds} seeds its mean is {fid_text(loss.gap)} above that of configuration "
        f"{arms[loss.better]}; {fid_text(loss.needed)} was enough to drop it"
    )
