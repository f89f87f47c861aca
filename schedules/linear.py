"""Noise variance that falls in a straight line."""

from dataclasses import dataclass
from typing import ClassVar

from ._noise import NoiseSchedule
from ._registry import register
from ._space import UNTIL, Choice, Float


@register
@dataclass(frozen=True, kw_only=True)
class Linear(NoiseSchedule):
    """The curve h(q) = 1 - q.

    Args:
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1].
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Linear(until=0.5).level(0.125)
        0.75
    """

    family: ClassVar[str] = "linear"

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching; ``side`` does not matter."""
        return {"until": UNTIL}

    def h(self, q: float) -> float:
        """The curve, see `NoiseSchedule.h`."""
        return 1.0 - q
