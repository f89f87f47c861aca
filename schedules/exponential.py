"""Noise variance that falls at an exponential rate."""

import math
from dataclasses import dataclass
from typing import ClassVar

from ._noise import NoiseSchedule
from ._registry import register
from ._space import UNTIL, Choice, Float

# Below it the curve differs from the straight line by less than rounding, at most rate / 8.
_STRAIGHT = 1e-16


@register
@dataclass(frozen=True, kw_only=True)
class Exponential(NoiseSchedule):
    r"""An exponential decay, shifted and rescaled to end at 0: an annealing with a constant rate.

    .. math:: h(q) = \frac{e^{-k q} - e^{-k}}{1 - e^{-k}}

    The decay is that of simulated annealing (Kirkpatrick et al., Science 220, 1983). The mean of h
    is 1 / k - 1 / (e^k - 1). At ``rate=0`` the curve is its limit, `Linear`; changing the sign of
    the rate mirrors it, to 1 - h(1 - q).

    Args:
        rate: k in the formula. Positive: falls early and flattens out; negative: stays high and
            falls late.
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1].
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> mollify = Exponential(rate=3)
        >>> [round(mollify.level(p), 3) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
        [1.0, 0.445, 0.182, 0.059, 0.0]
    """

    family: ClassVar[str] = "exponential"

    rate: float = 3.0

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching; ``side`` does not matter."""
        return {"rate": Float(-5.0, 10.0), "until": UNTIL}

    def h(self, q: float) -> float:
        """The curve, see `NoiseSchedule.h`."""
        k = abs(self.rate)
        if k < _STRAIGHT:
            return 1.0 - q
        # No exponent is positive, so no rate overflows; near 0 no digits are lost.
        mirrored = math.expm1(-k * (1.0 - q)) / math.expm1(-k)
        return math.exp(-k * q) * mirrored if self.rate > 0.0 else mirrored
