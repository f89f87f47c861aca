"""How much the difference of two arms varies between seeds, as all arms together tell.

A handful of seeds says little about one pair, and where noise is skewed a pair may look steady by
luck. So the arms pool what they know, carefully:

- no difference is credited with less variance than the mean over all pairs of arms, in which no
  pair counts for more than twice the median, so that one wild arm does not blur all others; a pair
  that spreads more counts as it is;
- the degrees of freedom are those of the interaction in the two-way layout seeds x arms,
  (arms - 1)(n - 1), times the estimate of Greenhouse and Geisser (1959) for how unequal the
  spreads are: between n - 1 and all of them.

Of two arms that is the paired t test. `benchmarks/verdict.py` shows that the level is kept.

| On Methods in the Analysis of Profile Data (Greenhouse and Geisser, 1959)
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

Array = NDArray[np.float64]

_MOST = 2.0


class Spread(NamedTuple):
    """The variance of differences.

    Attributes:
        variance: Of the difference of each two arms on one seed, shape (arms, arms).
        degrees: Degrees of freedom behind it.
    """

    variance: Array
    degrees: float


def spread_of(values: Array, pooled: bool = True) -> Spread:
    """Estimate the variance of the difference of each two arms between seeds.

    Args:
        values: FIDs, shape (seeds, arms), at least two of each.
        pooled: Whether pairs share what they tell; else each has its own variance alone.
    """
    seeds, arms = values.shape
    covariance = np.cov(values, rowvar=False)
    variance = np.diag(covariance)
    own = np.maximum(variance[:, None] + variance[None, :] - 2 * covariance, 0)
    if not pooled:
        return Spread(own, seeds - 1)
    pairs = own[np.triu_indices(arms, 1)]
    least = np.minimum(pairs, _MOST * np.median(pairs)).mean()
    # seeds that all arms like, or one arm by its mean, are no interaction
    interaction = covariance - covariance.mean(axis=0) - covariance.mean(axis=1)[:, None]
    interaction += covariance.mean()
    squares = float((interaction**2).sum())
    alike = max(float(np.trace(interaction)) ** 2 / squares, 1.0) if squares > 0 else 1.0
    return Spread(np.maximum(own, least), (seeds - 1) * alike)


class Planned(NamedTuple):
    """What to expect of a `Spread` where all arms spread alike.

    Attributes:
        degrees: Degrees of freedom.
        widening: How much wider intervals are than without the care for pairs that spread more.
    """

    degrees: float
    widening: float


def planned_spread(seeds: int, arms: int) -> Planned:
    """Return what to expect of `spread_of`; exact for two arms, and near for more.

    Args:
        seeds: Seeds of each arm, at least 2.
        arms: Number of arms, at least 2.
    """
    own, others = seeds - 1, arms - 1
    # of a Wishart matrix W of so many dimensions and degrees: E tr(W)^2 / E tr(W^2)
    alike = (others * own + 2) / (others + own + 1)
    # by which a pair's own variance is above the pooled one, on average; of two arms both are one
    above = (chdtrc(own + 2, own) - chdtrc(own, own)) * (1 - 1 / others)
    return Planned(own * alike, math.sqrt(1 + above))
