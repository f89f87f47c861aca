"""The paired t interval, how many seeds it needs, and what it can find."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import stdtrit

from .spread import planned_spread

LEVEL = 0.95
"""Probability with which everything holds that a confirmation says about one model."""
POWER = 0.8
"""Probability with which a difference is to be found, where nothing else is asked."""
MOST_SEEDS = 1000
"""Seeds beyond which `seeds_needed` gives up."""


class Interval(NamedTuple):
    """An interval for a mean difference.

    Attributes:
        mean: Mean of the differences.
        low: Lower end.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


def paired_interval(
    differences: Sequence[float],
    comparisons: int = 1,
    level: float = LEVEL,
    factor: float | None = None,
) -> Interval | None:
    """Return the two-sided t interval of a mean difference, one of several that hold at once.

    With the half-width t * sd / sqrt(n), where t leaves (1 - level) / (2 * comparisons) above it
    on n - 1 degrees of freedom, all intervals of so many comparisons hold at once with at least
    probability ``level`` (Bonferroni), however the comparisons depend on each other. That is
    exact for normal differences; their spread may differ from one comparison to the next.

    Args:
        differences: One per seed, FID of one arm minus that of the other.
        comparisons: How many intervals are to hold at once, fixed before the data were seen.
        level: With which probability, in (0, 1).
        factor: Another critical value than that of t.

    Returns:
        The interval; None for fewer than two differences, which show no spread, and where the
        critical value is infinite.

    Raises:
        ValueError: If a difference is not finite, or ``comparisons`` or ``level`` out of range.

    Example:
        >>> mean, low, high = paired_interval([1.0, 2.0, 3.0])
        >>> print(f"{mean} from {low:.3f} to {high:.3f}")
        2.0 from -0.484 to 4.484
    """
    count = len(differences)
    if not all(map(math.isfinite, differences)):
        raise ValueError(f"differences must be finite, got {differences}")
    if factor is None:
        factor = critical(comparisons, level, max(count - 1, 1))
    if count < 2 or math.isinf(factor):
        return None
    mean = math.fsum(differences) / count
    half = factor * standard_deviation(differences) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)


def standard_deviation(values: Sequence[float]) -> float:
    """Sample standard deviation of at least two numbers."""
    # plain sums: for a handful of numbers an array takes far longer
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1))


def critical(comparisons: int, level: float, degrees: float) -> float:
    """Two-sided critical value of t for several comparisons at once, see `paired_interval`.

    Args:
        comparisons: How many, at least 1.
        level: Probability that none of them errs, in (0, 1).
        degrees: Degrees of freedom, > 0.

    Raises:
        ValueError: If ``comparisons`` or ``level`` is out of range.
    """
    if comparisons < 1:
        raise ValueError(f"comparisons must be at least 1, got {comparisons}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return -float(stdtrit(degrees, (1 - level) / (2 * comparisons)))


def seeds_needed(
    gap: float,
    sd: float,
    comparisons: int = 1,
    level: float = LEVEL,
    power: float = POWER,
    most: int = MOST_SEEDS,
) -> int | None:
    """Return how many paired seeds tell a true difference from zero, on its own side.

    Args:
        gap: The true mean difference; only its size counts.
        sd: Standard deviation of the differences between seeds, >= 0.
        comparisons: Arms beside the reference: so many intervals are to hold at once, and so many
            arms share what they tell of the spread, see `spread_of`.
        level: As for `paired_interval`.
        power: Probability that the interval excludes zero on the side of the gap, in [0.5, 1).
        most: Largest number that is considered.

    Returns:
        The least number, at least 2; None if more than ``most`` are needed.

    Raises:
        ValueError: If ``sd`` is negative, a number is not finite, or as for `paired_interval`.

    Example:
        >>> seeds_needed(gap=10, sd=5, comparisons=4)
        6
    """
    _check(sd, power, comparisons)
    if not math.isfinite(gap):
        raise ValueError(f"gap must be finite, got {gap}")
    if sd == 0:
        return 2 if gap else None
    effect = abs(gap) / sd
    if _power(effect, most, comparisons, level) < power:
        return None
    low, high = 1, most  # power grows with the number of seeds: halve the range
    while high - low > 1:
        middle = (low + high) // 2
        if _power(effect, middle, comparisons, level) < power:
            low = middle
        else:
            high = middle
    return high


def detectable(
    sd: float, seeds: int, comparisons: int = 1, level: float = LEVEL, power: float = POWER
) -> float | None:
    """Return the least true difference that so many paired seeds tell from zero.

    Args:
        sd: Standard deviation of the differences between seeds, >= 0.
        seeds: Number of paired seeds.
        comparisons: As for `seeds_needed`.
        level: As for `paired_interval`.
        power: As for `seeds_needed`.

    Returns:
        The difference, in the unit of ``sd``; None for fewer than two seeds, which find none.

    Raises:
        ValueError: As for `seeds_needed`.
    """
    from scipy.optimize import brentq

    _check(sd, power, comparisons)
    if seeds < 2:
        return None
    degrees = planned_spread(seeds, comparisons + 1).degrees
    enough = critical(comparisons, level, degrees) / math.sqrt(seeds)
    while _power(enough, seeds, comparisons, level) < power:
        enough *= 2
    effect = brentq(lambda e: _power(e, seeds, comparisons, level) - power, 0, enough)
    return float(effect) * sd


def _power(effect: float, seeds: int, comparisons: int, level: float) -> float:
    """Probability that the interval excludes zero on the side of the effect (in units of sd)."""
    from scipy.stats import nct  # a second to import, which few commands need

    if seeds < 2:
        return 0.0
    degrees, widening = planned_spread(seeds, comparisons + 1)
    needed = widening * critical(comparisons, level, degrees)
    return float(nct.sf(needed, degrees, effect * math.sqrt(seeds)))


def _check(sd: float, power: float, comparisons: int) -> None:
    if comparisons < 1:
        raise ValueError(f"comparisons must be at least 1, got {comparisons}")
    if not (math.isfinite(sd) and sd >= 0):
        raise ValueError(f"sd must be finite and not negative, got {sd}")
    if not 0.5 <= power < 1:
        raise ValueError(f"power must be at least 0.5 and below 1, got {power}")
