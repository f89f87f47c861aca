"""`NoiseSchedule`, the mollifiers that mix Gaussian noise into the data."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._check import require
from ._generator import normal_like
from ._mollifier import Mollifier

if TYPE_CHECKING:
    import torch

# What a curve may miss [0, 1] by. Near its ends it is often a difference of nearly equal numbers,
# and the root of a variance of -1e-17 would end a training run.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class NoiseSchedule(Mollifier):
    r"""Gaussian mollification with a noise variance that falls along a curve h.

    At the share q of the mollified phase the level is ``floor + (peak - floor) h(q)``, with
    h(0) = 1 and h(q) -> 0 as q -> 1. A batch is mollified as

    .. math:: \tilde x = \sqrt{1 - \gamma}\, x + \sqrt{\gamma}\, \epsilon,
        \qquad \epsilon \sim N(0, I),

    with one level :math:`\gamma` for the whole batch and fresh noise for every element
    (data mollification, arXiv:2305.18900). This keeps the variance of data that has variance 1.

    The clean phase is clean whatever the floor: from ``until`` on the level is 0. With
    ``floor == peak`` and ``until=1`` the noise is constant to the end of training, a control.

    Args:
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1]; at 1 the first batch is pure noise.
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range.
    """

    peak: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 < self.peak <= 1.0, "peak", self.peak, "in (0, 1]")
        require(0.0 <= self.floor <= self.peak, "floor", self.floor, f"in [0, peak={self.peak!r}]")

    @abstractmethod
    def h(self, q: float) -> float:
        """The curve for ``q`` in [0, 1): nonincreasing, from 1 at 0 to 0 at 1."""

    def phase_level(self, q: float) -> float:
        """Variance of the noise at the share ``q`` in [0, 1) of the mollified phase.

        Raises:
            ValueError: If the family's `h` leaves [0, 1] by more than rounding.
        """
        h = self.h(q)
        if not -_ROUNDING <= h <= 1.0 + _ROUNDING:
            raise ValueError(f"{type(self).__name__}.h must be in [0, 1], got {h!r} at q={q!r}")
        return min(self.floor + (self.peak - self.floor) * max(h, 0.0), self.peak)

    def phase_levels(self, shares: Sequence[float]) -> list[float]:
        """The same numbers as those of `phase_level`, in half of the time: a search asks often."""
        h = np.array([self.h(q) for q in shares])
        if not ((h >= -_ROUNDING) & (h <= 1.0 + _ROUNDING)).all():
            return super().phase_levels(shares)  # says what is wrong, and where
        levels = np.minimum(self.floor + (self.peak - self.floor) * np.maximum(h, 0.0), self.peak)
        listed: list[float] = levels.tolist()
        return listed

    def apply(
        self, x: "torch.Tensor", level: float, generator: "torch.Generator"
    ) -> "torch.Tensor":
        """Mix noise of variance ``level`` into ``x``, preserving a variance of 1."""
        # Two passes over memory: noise of the right size is drawn, then x is added in place.
        noise = normal_like(x, math.sqrt(level), generator)
        return noise.add_(x, alpha=math.sqrt(1.0 - level))
