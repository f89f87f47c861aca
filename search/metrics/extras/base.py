"""What a metric beside FID is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mollitune.search.metrics.frechet import Target
from mollitune.search.store.columns import Metric


@dataclass(frozen=True)
class Sides:
    """What a metric compares.

    Arguments:
        generated: Features of the generated images with shape (N, F).
        target: Moments of the real images' features.
        real: Features of the real images with shape (M, F); None unless they are needed.
    """

    generated: Tensor
    target: Target
    real: Tensor | None = None

    @property
    def both(self) -> tuple[Tensor, Tensor]:
        """Features of the generated and of the real images, for a metric that needs both."""
        assert self.real is not None  # `check_extras` has seen to it
        return self.generated, self.real


class Extra(ABC):
    """A metric of ``fid.extra``, built without arguments.

    It must be deterministic, draw from no global generator, and leave the features as they are.

    Attributes:
        columns: The columns that it fills, one or more; `extra_metric` makes one.
        least: Fewest images per side, >= 2.
        needs_real: Whether it needs the real images' features, not only their moments.
    """

    columns: tuple[Metric, ...]
    least: int = 2
    needs_real: bool = False

    @abstractmethod
    def measure(self, sides: Sides) -> Mapping[str, float]:
        """Return a value for each of the columns, by its name."""
