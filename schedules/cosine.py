"""The cosine schedule with adjustable ends and temperature."""

import math
from dataclasses import dataclass
from typing import ClassVar

from ._check import require
from ._noise import NoiseSchedule
from ._registry import register
from ._space import UNTIL, Choice, Float


@register
@dataclass(frozen=True, kw_only=True)
class Cosine(NoiseSchedule):
    r"""The cosine curve of Chen (arXiv:2301.10972), here for the noise variance.

    With :math:`c(u) = \cos(\pi u / 2)^{2 \tau}`,

    .. math:: h(q) = \frac{c(e) - c(q (e - b) + b)}{c(e) - c(b)}.

    At ``tau=1`` over the full range, the default, this is the raised cosine
    :math:`\cos^2(\pi q / 2)`.

    Args:
        start: b in the formula, in [0, 1), below ``end``; from 0 the curve has a plateau at first.
        end: e in the formula, in (0, 1]; up to 1 the curve lands softly if tau > 1/2.
        tau: Temperature, > 0; the larger, the earlier the fall.
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1].
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range, or if c is the same at both ends (within 1e-6),
            so that no curve is left.

    Example:
        >>> mollify = Cosine()
        >>> [round(mollify.level(p), 3) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    family: ClassVar[str] = "cosine"

    start: float = 0.0
    end: float = 1.0
    tau: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 <= self.start < 1.0, "start", self.start, "in [0, 1)")
        legal = f"in (start={self.start!r}, 1]"
        require(self.start < self.end <= 1.0, "end", self.end, legal)
        require(self.tau > 0.0, "tau", self.tau, "> 0")
        require(
            self._c(self.start) - self._c(self.end) >= 1e-6,
            "tau",
            self.tau,
            f"such that cos(pi u / 2)^(2 tau) differs by 1e-6 or more between "
            f"u = start = {self.start!r} and u = end = {self.end!r}",
        )

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching; ``side`` does not matter."""
        return {
            "start": Float(0.0, 0.4),
            "end": Float(0.6, 1.0),
            "tau": Float(0.3, 4.0, log=True),
            "until": UNTIL,
        }

    def h(self, q: float) -> float:
        """The curve, see `NoiseSchedule.h`."""
        last = self._c(self.end)
        return (self._c((1.0 - q) * self.start + q * self.end) - last) / (
            self._c(self.start) - last
        )

    def _c(self, u: float) -> float:
        return math.pow(math.cos(0.5 * math.pi * u), 2.0 * self.tau)
