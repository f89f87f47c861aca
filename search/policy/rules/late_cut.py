"""One late look: earlier FID ranks the noise that is left in the data."""

from .base import Rule
from .registry import register


@register
class LateCut(Rule):
    """One rung, at ``grace``."""

    name = "late_cut"
    description = "a single late rung"

    def marks(self, grace: float, reduction_factor: float) -> tuple[float, ...]:
        """Return ``grace`` alone."""
        return (grace,)
