"""Dimensions of a search space; which sampler draws from them is the search's business."""

import math
import random
from dataclasses import dataclass

from ._check import finite_number, require


@dataclass(frozen=True)
class Float:
    """A real parameter in the closed interval [low, high].

    Args:
        low: Smallest value, finite; positive if ``log``.
        high: Largest value, finite, above ``low``.
        log: Search uniformly in the logarithm of the parameter.

    Raises:
        ValueError: If a bound is not finite, the interval is empty, or ``log`` meets ``low <= 0``.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", finite_number("low", self.low))
        object.__setattr__(self, "high", finite_number("high", self.high))
        require(self.low < self.high, "high", self.high, f"above low = {self.low!r}")
        require(not self.log or self.low > 0.0, "low", self.low, "> 0 on a logarithmic scale")

    def sample(self, rng: random.Random) -> float:
        """Draw a value, uniformly (in the logarithm if ``log``)."""
        if not self.log:
            return rng.uniform(self.low, self.high)
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        # exp(log(bound)) may miss the bound by a rounding error.
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """A parameter that takes one of a few named values.

    Args:
        options: The names, at least one, without repetition.

    Raises:
        ValueError: If ``options`` is empty or repeats a name.
    """

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        distinct = len(set(self.options)) == len(self.options)
        require(bool(self.options) and distinct, "options", self.options, "distinct, at least one")

    def sample(self, rng: random.Random) -> str:
        """Draw a value, uniformly."""
        return rng.choice(self.options)


UNTIL = Float(0.1, 0.9)
"""Where every mollifying family searches for ``until``: some noise, and some clean training."""
