"""What a metric beside FID is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mollitune.models import GenerativeModel
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


@dataclass(frozen=True)
class Trained:
    """A model at the end of its training, for a metric that asks more than its samples.

    Arguments:
        model: The model, in evaluation mode.
        images: Its training images as bytes with shape (N, C, H, W), or rows (N, D).
        samples: Generated images per evaluation.
        generator: A source of random numbers, the same one for all schedules of a seed.
        fid: Returns the FID of what a function draws, given how many.
    """

    model: GenerativeModel
    images: Tensor
    samples: int
    generator: torch.Generator
    fid: Callable[[Callable[[int], Tensor]], float]


class Named(ABC):
    """What all metrics of ``fid.extra`` have; each is built without arguments.

    Attributes:
        columns: The columns that it fills, one or more; `extra_metric` makes one.
        least: Fewest images per side, >= 2.
        needs_real: Whether it needs the real images' features, not only their moments.
    """

    columns: tuple[Metric, ...]
    least: int = 2
    needs_real: bool = False


class AtEnd(Named):
    """A metric that looks at the trained model itself, once, at the end of a training."""

    @abstractmethod
    def look(self, trained: Trained) -> Mapping[str, float]:
        """Return a value for each of the columns; nothing at all for models that have none."""


class Extra(Named):
    """A metric that compares features at every evaluation.

    It must be deterministic, draw from no global generator, and leave the features as they are.
    """

    @abstractmethod
    def measure(self, sides: Sides) -> Mapping[str, float]:
        """Return a value for each of the columns, by its name."""
