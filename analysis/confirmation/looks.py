"""Several looks at one question: confirmations that follow each other, and looks at any time.

Who confirms again after a verdict that did not please, and again, is wrong in the end with more
than the stated probability. So the error probability of a search is an account that its
confirmations spend: each takes four fifths of what is left, which adds up to the whole however
many there are (Lan and DeMets, 1983). Each looks at all seeds so far.

Who wants to look after every seed takes intervals that hold for all numbers of seeds at once. They
are wider: they come from a test martingale, the Bayes factor of the t test with an effect of
variance 1 in units of the spread (Gonen et al., 2005), which exceeds 1 / a at any time with
probability a at most (Ville's inequality).

| Discrete Sequential Boundaries for Clinical Trials (Lan and DeMets, 1983)
| The Bayesian Two-Sample t Test (Gonen, Johnson, Lu and Westfall, 2005)
| Optional Stopping with Bayes Factors (Hendriksen, de Heide and Grunwald, 2021)
"""

import math

from .paired import LEVEL

SPENT = 0.8
"""Share of what is left of the error probability that a confirmation spends."""
EFFECT = 1.0
"""Variance of the effects, in spreads, for which intervals at any time are made."""


def level_of(look: int, level: float = LEVEL) -> float:
    """Return the probability with which all statements of one confirmation hold.

    Args:
        look: Its number, from 1.
        level: Probability with which all statements of all of them hold, in (0, 1).

    Example:
        >>> [round(level_of(look), 4) for look in (1, 2, 3)]
        [0.96, 0.992, 0.9984]
    """
    return 1 - SPENT * (1 - SPENT) ** (look - 1) * (1 - level)


def anytime_critical(seeds: int, comparisons: int, level: float) -> float:
    """Return the critical value of t that holds for all numbers of seeds at once.

    Args:
        seeds: Number of seeds so far, at least 2.
        comparisons: How many intervals are to hold at once.
        level: With which probability, in (0, 1).

    Returns:
        The value; infinite for fewer seeds than can show anything.

    Example:
        >>> [round(anytime_critical(n, 4, 0.96), 1) for n in (5, 10, 20)]
        [inf, 5.3, 4.2]
    """
    more = 1 + seeds * EFFECT
    needed = (more * (comparisons / (1 - level)) ** 2) ** (1 / seeds)
    if needed >= more:
        return math.inf
    return math.sqrt((seeds - 1) * (needed - 1) / (1 - needed / more))
