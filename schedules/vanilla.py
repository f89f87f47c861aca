"""No mollification: the baseline that every study carries."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ._base import Schedule
from ._check import require_float_tensor, valid_progress
from ._registry import register
from ._space import Choice, Float

if TYPE_CHECKING:
    import torch


@register
@dataclass(frozen=True, kw_only=True)
class Vanilla(Schedule):
    """Trains on clean data from the first step to the last.

    Example:
        >>> Vanilla().level(0.0)
        0.0
    """

    family: ClassVar[str] = "vanilla"

    @property
    def until(self) -> float:
        """Share of training that is mollified: 0."""
        return 0.0

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the empty space: there is nothing to search."""
        return {}

    def level(self, progress: float) -> float:
        """Return 0, see `Schedule.level`."""
        valid_progress(progress)
        return 0.0

    def __call__(
        self, x: "torch.Tensor", progress: float, *, generator: "torch.Generator | None" = None
    ) -> "torch.Tensor":
        """Return ``x`` itself, see `Schedule.__call__`."""
        require_float_tensor(x)
        valid_progress(progress)
        return x
