"""Rungs at growing age: successive halving without waiting.

| A System for Massively Parallel Hyperparameter Tuning (Li et al., 2020)
"""

from .base import Rule
from .registry import register


@register
class Asha(Rule):
    """A rung at ``grace``, and at each multiple by ``reduction_factor``."""

    name = "asha"
    description = "rungs that get further apart"

    def marks(self, grace: float, reduction_factor: float) -> tuple[float, ...]:
        """Return the powers of the reduction factor from ``grace`` up to the end."""
        marks, mark = [], grace
        while mark < 1:
            marks.append(mark)
            mark *= reduction_factor
        return tuple(marks)
