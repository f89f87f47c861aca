"""No early stopping."""

from .base import Rule
from .registry import register


@register
class NoStopping(Rule):
    """No rung, so that no run is judged."""

    name = "none"
    description = "train every trial to its end"

    def marks(self, grace: float, reduction_factor: float) -> tuple[float, ...]:
        """Return no rung."""
        return ()
