"""The noise levels of EDM's sampler, as a schedule."""

import math
from dataclasses import dataclass
from typing import ClassVar

from ._check import require
from ._noise import NoiseSchedule
from ._registry import register
from ._space import UNTIL, Choice, Float

_MOST_RHO = 1e3  # the curve is geometric by then, and rounding in the power grows with rho


@register
@dataclass(frozen=True, kw_only=True)
class EDM(NoiseSchedule):
    r"""The curve of Karras et al. (arXiv:2206.00364, equation 5), there the steps of a sampler.

    Noise of scale s is added to data of unit scale, and both are scaled back to unit variance:

    .. math:: s(q) = \left(s_{\max}^{1/\rho} + q (s_{\min}^{1/\rho} - s_{\max}^{1/\rho})
        \right)^\rho, \qquad g(q) = \frac{s(q)^2}{1 + s(q)^2},

    and h is g, shifted and rescaled to run from 1 to 0.

    Args:
        rho: Exponent, in (0, 1000]. At 1 the scale of the noise falls in a straight line; the
            larger, the earlier it falls and the longer small noise lasts.
        sigma_max: Scale of the noise at the start, > sigma_min; 80 is next to pure noise.
        sigma_min: Scale of the noise at the end, > 0.
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1].
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range, or if g is the same at both ends (within 1e-6),
            so that no curve is left.

    Example:
        >>> mollify = EDM()
        >>> [round(mollify.level(p), 3) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
        [1.0, 0.997, 0.864, 0.028, 0.0]
    """

    family: ClassVar[str] = "edm"

    rho: float = 7.0
    sigma_max: float = 80.0
    sigma_min: float = 0.002

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 < self.rho <= _MOST_RHO, "rho", self.rho, f"in (0, {_MOST_RHO:g}]")
        require(self.sigma_min > 0.0, "sigma_min", self.sigma_min, "> 0")
        legal = f"above sigma_min={self.sigma_min!r}"
        require(self.sigma_max > self.sigma_min, "sigma_max", self.sigma_max, legal)
        require(
            self._g(0.0) - self._g(1.0) >= 1e-6,
            "sigma_max",
            self.sigma_max,
            f"such that s^2 / (1 + s^2) differs by 1e-6 or more between s = sigma_max and "
            f"s = sigma_min = {self.sigma_min!r}",
        )

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching; ``side`` does not matter.

        Like peak and floor, ``sigma_min`` stays at its default: the rescaling takes away where the
        curve ends, and what sigma_min does to the way there, rho does too.
        """
        return {
            "rho": Float(1.0, 15.0),
            "sigma_max": Float(1.0, 80.0, log=True),
            "until": UNTIL,
        }

    def h(self, q: float) -> float:
        """The curve, see `NoiseSchedule.h`."""
        last = self._g(1.0)
        return (self._g(q) - last) / (self._g(0.0) - last)

    def _g(self, q: float) -> float:
        # In units of sigma_max: powers of numbers up to 1 cannot overflow.
        ratio = (self.sigma_min / self.sigma_max) ** (1.0 / self.rho)
        s = self.sigma_max * (1.0 - q + q * ratio) ** self.rho
        return float((s / math.hypot(1.0, s)) ** 2)
