"""What is believed of the expected FID of configurations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from .scales import Array


@dataclass(frozen=True)
class Belief:
    """What is believed of the expected FID of some schedules, seeds averaged out.

    The beliefs are normal in the logarithm of FID, or on the linear scale in the value itself.

    Arguments:
        location: Mean of the logarithm, with shape (n,).
        scale: Standard deviation of the logarithm, given the level m, with shape (n,).
        level_scale: What not knowing m adds to it. That moves all schedules alike, so it counts
            in intervals and not in comparisons.
        linear: Whether all of them are of the value, and not of its logarithm.
        seed_scale: Standard deviation of one run on a fresh seed around what is expected.
    """

    location: Array
    scale: Array
    level_scale: Array
    linear: bool = False
    seed_scale: float = 0.0

    @property
    def fid(self) -> Array:
        """The median of the belief, as an FID."""
        return self._value(self.location)

    def interval(self, level: float = 0.9, run: bool = False) -> tuple[Array, Array]:
        """Lower and upper ends of the central interval of this probability, as FIDs.

        Args:
            level: The probability.
            run: Whether the interval is for one run on a fresh seed, and not for the mean of all.
        """
        spread = np.hypot(np.hypot(self.scale, self.level_scale), self.seed_scale if run else 0.0)
        half = ndtri((1 + level) / 2) * spread
        return self._value(self.location - half), self._value(self.location + half)

    def _value(self, location: Array) -> Array:
        return location.copy() if self.linear else np.exp(location)

    def improvement(self, best: float) -> Array:
        """Expected fall of the logarithm of FID below that of ``best`` (Jones et al., 1998)."""
        gap = (best if self.linear else np.log(best)) - self.location
        scale = np.maximum(self.scale, 1e-12)
        z = gap / scale
        improvement: Array = gap * ndtr(z) + scale * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return improvement
