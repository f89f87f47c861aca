"""Noise variance that falls like a power of what is left of the mollified phase."""

from dataclasses import dataclass
from typing import ClassVar

from ._check import require
from ._noise import NoiseSchedule
from ._registry import register
from ._space import UNTIL, Choice, Float


@register
@dataclass(frozen=True, kw_only=True)
class Polynomial(NoiseSchedule):
    r"""The curve :math:`h(q) = (1 - q)^k`, the decay of learning rates, here for the variance.

    Poly decay of learning rates is from ParseNet (arXiv:1506.04579). The mean of h is
    1 / (k + 1). At ``power=1`` this is `Linear`.

    Args:
        power: k in the formula, > 0. Above 1 the curve falls early and lands softly; below 1 it
            stays high and falls ever more steeply.
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1].
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> mollify = Polynomial(power=2)
        >>> [mollify.level(p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
        [1.0, 0.5625, 0.25, 0.0625, 0.0]
    """

    family: ClassVar[str] = "polynomial"

    power: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.power > 0.0, "power", self.power, "> 0")

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching; ``side`` does not matter."""
        return {"power": Float(0.25, 8.0, log=True), "until": UNTIL}

    def h(self, q: float) -> float:
        """The curve, see `NoiseSchedule.h`."""
        return float((1.0 - q) ** self.power)
