"""The sigmoid schedule, the default of the mollification paper (arXiv:2305.18900)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from ._check import require
from ._noise import NoiseSchedule
from ._registry import register
from ._space import UNTIL, Choice, Float


@register
@dataclass(frozen=True, kw_only=True)
class Sigmoid(NoiseSchedule):
    r"""The curve of Chen (arXiv:2301.10972), here for the noise variance.

    With s the logistic function,

    .. math:: h(q) = \frac{s(e/\tau) - s((q (e - b) + b)/\tau)}{s(e/\tau) - s(b/\tau)}.

    With ``start > end`` the curve is mirrored, 1 - h(1 - q): it stays high and falls late.

    Args:
        start: b in the formula; from 0 on the curve has no plateau at the start.
        end: e in the formula; the larger, the softer the landing.
        tau: Temperature, > 0. Only start/tau and end/tau matter; a small tau makes a steep fall.
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1].
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range, or if s is the same at both ends (within 1e-6),
            so that no curve is left.

    Example:
        >>> mollify = Sigmoid()
        >>> [round(mollify.level(p), 3) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
        [1.0, 0.497, 0.188, 0.052, 0.0]
    """

    family: ClassVar[str] = "sigmoid"
    # The curve depends on start/tau and end/tau alone, so a search over all three would be
    # over-parametrised by one.
    search_constants: ClassVar[Mapping[str, float | str]] = MappingProxyType({"tau": 1.0})

    start: float = 0.0
    end: float = 3.0
    tau: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.tau > 0.0, "tau", self.tau, "> 0")
        b, e = self.start / self.tau, self.end / self.tau
        finite = math.isfinite(b) and math.isfinite(e)
        require(finite, "tau", self.tau, "large enough for start/tau and end/tau to be finite")
        require(
            abs(_rise(b, e)) >= 1e-6,
            "end",
            self.end,
            f"such that the sigmoid at end/tau differs from that at start/tau by 1e-6 or more "
            f"(start={self.start!r}, tau={self.tau!r})",
        )

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching, for tau = 1; ``side`` does not matter."""
        return {"start": Float(-6.0, 1.0), "end": Float(2.0, 8.0), "until": UNTIL}

    def point(self) -> dict[str, float | str]:
        """Return the parameters of the same curve with tau = 1, see `Schedule.point`."""
        scaled = {"start": self.start / self.tau, "end": self.end / self.tau}
        return {**super().point(), **scaled}

    def h(self, q: float) -> float:
        """The curve, see `NoiseSchedule.h`."""
        b, e = self.start / self.tau, self.end / self.tau
        # Not b + q (e - b), which overflows for ends of opposite sign.
        return _rise((1.0 - q) * b + q * e, e) / _rise(b, e)


def _rise(a: float, b: float) -> float:
    """s(b) - s(a) for the logistic s, without cancellation where s is flat.

    For a <= b it equals (1 - exp(a - b)) s(b) s(-a), in which no factor loses digits.
    """
    if a > b:
        return -_rise(b, a)
    return -math.expm1(a - b) * _logistic(b) * _logistic(-a)


def _logistic(x: float) -> float:
    # math.exp raises on overflow but not on underflow, so its argument is kept negative.
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    z = math.exp(x)
    return z / (1.0 + z)
