"""The cosine schedule with a shifted signal-to-noise ratio."""

import math
from dataclasses import dataclass
from typing import ClassVar

from ._check import require
from ._noise import NoiseSchedule
from ._registry import register
from ._space import UNTIL, Choice, Float


@register
@dataclass(frozen=True, kw_only=True)
class CosineShift(NoiseSchedule):
    r"""The shifted cosine of simple diffusion (Hoogeboom et al., arXiv:2301.11093).

    There the log signal-to-noise ratio is :math:`-2 \ln \tan(\pi t / 2) + 2 \ln a`; with diffusion
    time t = 1 - q, the variance of the noise is

    .. math:: h(q) = \frac{\cos^2(\pi q / 2)}{\cos^2(\pi q / 2) + a^2 \sin^2(\pi q / 2)}.

    The mean of h is 1 / (1 + a). At ``shift=1`` this is the default `Cosine`; 1 / a mirrors the
    curve of a, to 1 - h(1 - q).

    Args:
        shift: a in the formula, > 0, the factor on the ratio of the signal's scale to the noise's.
            Below 1 there is more noise, as the paper wants for large images; above 1 less.
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1].
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> mollify = CosineShift(shift=0.5)
        >>> [round(mollify.level(p), 3) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
        [1.0, 0.959, 0.8, 0.407, 0.0]
    """

    family: ClassVar[str] = "cosine_shift"

    shift: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.shift > 0.0, "shift", self.shift, "> 0")

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching; ``side`` does not matter."""
        return {"shift": Float(0.1, 10.0, log=True), "until": UNTIL}

    def h(self, q: float) -> float:
        """The curve, see `NoiseSchedule.h`."""
        # The cosine as a sine is exactly 0 at q = 1, and hypot does not overflow.
        noise = math.sin(0.5 * math.pi * (1.0 - q))
        signal = self.shift * math.sin(0.5 * math.pi * q)
        return (noise / math.hypot(noise, signal)) ** 2
