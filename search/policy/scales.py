"""Scales of the surrogate: not optimised, but averaged over draws from their priors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Array = npt.NDArray[np.float64]

DRAWS = 128
# median and spread of the logarithm, for coordinates in [0, 1] and values of variance 1
_LENGTH = (0.5, 0.7)
_SCALES = {
    "shape": (0.9, 0.5),
    "own": (0.3, 0.7),
    "seed": (0.3, 0.8),
    "seed_shape": (0.3, 0.8),
    "run": (0.4, 0.6),
}
_SETTINGS = (0.8, 0.6)
_APART = (0.7, 1.0)
# per tenfold budget
_BUDGETS = {"slope": (2.5, 0.8), "bend": (0.7, 0.7), "trend": (3.0, 1.0)}
_NARROWEST = 0.3


class Kinds(NamedTuple):
    """What there is to be modelled, besides shapes and seeds.

    Attributes:
        settings: How many coordinates, the last ones, are of hyperparameters.
        budgets: Whether there are several budgets.
        earlier: How many earlier searches have told.
    """

    settings: int = 0
    budgets: bool = False
    earlier: int = 0

    @property
    def scales(self) -> dict[str, tuple[float, float]]:
        """Median and spread of the logarithm of each scale that is drawn, but for the lengths."""
        return {
            **_SCALES,
            **({"settings": _SETTINGS} if self.settings else {}),
            **(_BUDGETS if self.budgets else {}),
        }


@dataclass(frozen=True)
class Hyperparameters:
    """Draws of all scales, k of them; each is a standard deviation, but for the lengths.

    Arguments:
        length: Length of each coordinate, with shape (k, d).
        shape: What shapes have in common over all seeds, with shape (k,) like the rest.
        own: What is a schedule's own.
        seed: What is a seed's own, whatever the schedule.
        seed_shape: What shapes have in common within one seed only.
        run: What is a run's own.
        settings: What hyperparameters do whatever the schedule; 0 where none are searched.
        slope: How much a tenfold budget changes what the mollified share does, as a multiple of
            ``shape``; 0, like the next two, where there is one budget.
        bend: How far such a change departs from a line in the logarithm of the budget, as a
            multiple of it.
        trend: What a tenfold budget does to all alike.
        apart: How far each of e earlier searches is from this one, with shape (k, e).
    """

    length: Array
    shape: Array
    own: Array
    seed: Array
    seed_shape: Array
    run: Array
    settings: Array
    slope: Array
    bend: Array
    trend: Array
    apart: Array

    @property
    def agreement(self) -> Array:
        """Correlation of what each of e + 1 searches, this one first, says with all others.

        Shape (k, e + 1, e + 1): as if each knew the truth with an error of its own.
        """
        own = 1 / (1 + np.pad(self.apart, [(0, 0), (1, 0)]) ** 2)
        agreement: Array = own[:, :, None] * own[:, None]
        every = np.arange(own.shape[1])
        agreement[:, every, every] = 1.0
        return agreement

    def keep(self, which: npt.NDArray[np.intp]) -> Self:
        """Return some of the draws."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True)
class Draws:
    """Draws of the scales from some distribution.

    Arguments:
        scales: The draws.
        ratio: Logarithm of the prior's density over that of the distribution, with shape (k,).
    """

    scales: Hyperparameters
    ratio: Array

    def keep(self, which: npt.NDArray[np.intp]) -> Draws:
        """Return some of the draws."""
        return Draws(self.scales.keep(which), self.ratio[which])


@lru_cache(maxsize=8)
def prior_draws(dimensions: int, kinds: Kinds) -> Draws:
    """Return the same draws in every process: a low-discrepancy set without a seed.

    Args:
        dimensions: Coordinates in all.
        kinds: What there is to be modelled.
    """
    middle, spread = _prior(dimensions, kinds)
    values = middle * np.exp(spread * _normal(len(middle)))
    return Draws(_as_scales(values, dimensions, kinds), np.zeros(DRAWS))


def adapted_draws(before: Draws, weights: Array, kinds: Kinds) -> Draws:
    """Return draws from near those that explain the runs, and a quarter from the prior.

    The logarithms of the scales are drawn from independent normals with mean and spread of the
    weighted draws, no narrower than `_NARROWEST` of the prior's.

    | Adaptive Multiple Importance Sampling (Cornuet et al., 2012)

    Args:
        before: Earlier draws.
        weights: Their weights by prior and evidence, tempered, summing to 1, with shape (k,).
        kinds: As for `prior_draws`.
    """
    dimensions = before.scales.length.shape[1]
    middle, spread = _prior(dimensions, kinds)
    z = (np.log(_as_values(before.scales, kinds)) - np.log(middle)) / spread
    mean = weights @ z
    sd = np.sqrt(weights @ (z - mean) ** 2 + _NARROWEST**2)
    drawn = _normal(len(middle))
    from_prior = np.arange(DRAWS) % 4 == 0
    drawn = np.where(from_prior[:, None], drawn, mean + sd * drawn)
    prior = -0.5 * (drawn**2).sum(1)
    near = -0.5 * (((drawn - mean) / sd) ** 2).sum(1) - np.log(sd).sum()
    ratio = prior - np.logaddexp(prior + np.log(0.25), near + np.log(0.75))
    values = middle * np.exp(spread * drawn)
    return Draws(_as_scales(values, dimensions, kinds), ratio)


def _prior(dimensions: int, kinds: Kinds) -> tuple[Array, Array]:
    """Medians and spreads of the logarithms of all scales, in the order of `_as_values`."""
    scales = [_LENGTH] * dimensions + [*kinds.scales.values()] + [_APART] * kinds.earlier
    middle, spread = np.array(scales).T
    return middle, spread


@lru_cache(maxsize=8)
def _normal(count: int) -> Array:
    import torch  # seconds, where nothing else has; scipy's are the same numbers and take longer

    sobol = torch.quasirandom.SobolEngine(count)
    # without the first half of the set, whose points lie on a coarse grid
    drawn: Array = ndtri(sobol.draw(2 * DRAWS, dtype=torch.float64).numpy()[DRAWS:])
    return drawn


def _as_scales(values: Array, dimensions: int, kinds: Kinds) -> Hyperparameters:
    apart = dimensions + len(kinds.scales)
    own = dict(zip(kinds.scales, values[:, dimensions:apart].T, strict=True))
    none = np.zeros(len(values))
    rest = {name: own.get(name, none) for name in Kinds(1, True).scales}
    return Hyperparameters(values[:, :dimensions], **rest, apart=values[:, apart:])


def _as_values(scales: Hyperparameters, kinds: Kinds) -> Array:
    own = (getattr(scales, name) for name in kinds.scales)
    return np.column_stack([scales.length, *own, scales.apart])
