"""Spearman's rank correlation with its interval."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import ndtri

from mollitune.analysis.ranking.expectation import LEVEL

_FEWEST = 4  # pairs for a correlation, whose interval needs more than three


class RankCorrelation(NamedTuple):
    """A rank correlation.

    Attributes:
        value: Spearman's; None for fewer than 4 pairs or without any spread.
        low: Lower end of its 90 % interval; None without a correlation, or for one of exactly 1
            or -1, where Fisher's transform ends.
        high: Upper end.
    """

    value: float | None
    low: float | None
    high: float | None


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> RankCorrelation:
    """Correlate the ranks of pairs.

    The interval is by Fisher's transform with the variance of Bonett and Wright (2000),
    (1 + r^2 / 2) / (n - 3).

    Args:
        a: One value per pair, finite.
        b: The other one, as many.
    """
    from scipy.stats import spearmanr

    if len(a) < _FEWEST or len({*a}) == 1 or len({*b}) == 1:
        return RankCorrelation(None, None, None)
    r = float(spearmanr(a, b).statistic)
    if abs(r) > 1 - 1e-12:
        return RankCorrelation(r, None, None)
    half = float(ndtri((1 + LEVEL) / 2)) * math.sqrt((1 + r * r / 2) / (len(a) - 3))
    z = math.atanh(r)
    return RankCorrelation(r, math.tanh(z - half), math.tanh(z + half))
