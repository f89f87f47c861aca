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
class Int:
    """A whole-numbered parameter from low to high, both included.

    Args:
        low: Smallest value; positive if ``log``.
        high: Largest value, above ``low``.
        log: Search uniformly in the logarithm of the parameter.

    Raises:
        ValueError: If a bound is no whole number, there is one value only, or ``log`` meets
            ``low <= 0``.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            require(whole, name, value, "a whole number")
        require(self.low < self.high, "high", self.high, f"above low = {self.low!r}")
        require(not self.log or self.low > 0, "low", self.low, "> 0 on a logarithmic scale")

    def sample(self, rng: random.Random) -> int:
        """Draw a value: each equally often, or as much as lies nearest to it if ``log``."""
        if not self.log:
            return rng.randint(self.low, self.high)
        drawn = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
        return min(max(round(drawn), self.low), self.high)


Option = str | bool | int | float


@dataclass(frozen=True)
class Choice:
    """A parameter that takes one of a few values.

    Args:
        options: Texts, numbers, or true and false; at least one, without repetition, of one kind.

    Raises:
        ValueError: If ``options`` is empty, repeats a value or mixes kinds.
    """

    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        distinct = len(set(self.options)) == len(self.options)
        require(bool(self.options) and distinct, "options", self.options, "distinct, at least one")
        kinds = {float if type(value) is int else type(value) for value in self.options}
        one = len(kinds) == 1 and kinds <= {str, bool, float}
        require(one, "options", self.options, "all texts, all numbers, or true and false")

    def sample(self, rng: random.Random) -> Option:
        """Draw a value, uniformly."""
        return rng.choice(self.options)


Dimension = Float | Int | Choice


UNTIL = Float(0.1, 0.9)
"""Where every mollifying family searches for ``until``: some noise, and some clean training."""
