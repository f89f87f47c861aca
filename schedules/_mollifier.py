"""`Mollifier`, a schedule with a mollified phase followed by a clean one."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._base import Schedule
from ._check import require, require_float_tensor, valid_progress
from ._generator import noise_generator

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Mollifier(Schedule):
    """Mollifies for ``progress`` in [0, until) and leaves the data alone afterwards.

    A family writes `phase_level` and `apply`; this class maps training progress to
    q = progress / until and takes care of the clean phase.

    Args:
        until: Share of training that is mollified, in (0, 1].

    Raises:
        ValueError: If an argument is out of range.
    """

    until: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 < self.until <= 1.0, "until", self.until, "in (0, 1]")

    @abstractmethod
    def phase_level(self, q: float) -> float:
        """Level at the share ``q`` in [0, 1) of the mollified phase, nonincreasing in ``q``."""

    def phase_levels(self, shares: Sequence[float]) -> list[float]:
        """`phase_level` at many shares in [0, 1) of the mollified phase, as for a picture."""
        return [self.phase_level(q) for q in shares]

    @abstractmethod
    def apply(
        self, x: "torch.Tensor", level: float, generator: "torch.Generator"
    ) -> "torch.Tensor":
        """Mollify the floating-point tensor ``x`` of shape (N, ...) with strength ``level``."""

    def level(self, progress: float) -> float:
        """Strength of the mollification, see `Schedule.level`."""
        progress = valid_progress(progress)
        return self.phase_level(progress / self.until) if progress < self.until else 0.0

    def __call__(
        self, x: "torch.Tensor", progress: float, *, generator: "torch.Generator | None" = None
    ) -> "torch.Tensor":
        """Mollify a batch, see `Schedule.__call__`."""
        require_float_tensor(x)
        if not self.mollified(progress):
            return x
        return self.apply(x, self.level(progress), generator or noise_generator(x.device))
