"""Scales of the surrogate: not optimised, but averaged over draws from their priors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Self

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
# per tenfold budget
_BUDGETS = {"slope": (2.5, 0.8), "bend": (0.7, 0.7), "trend": (3.0, 1.0)}
_NARROWEST = 0.3


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
def prior_draws(dimensions: int, settings: int = 0, budgets: bool = False) -> Draws:
    """Return the same draws in every process: a low-discrepancy set without a seed.

    Args:
        dimensions: Coordinates in all.
        settings: How many of them, the last ones, are of hyperparameters.
        budgets: Whether there are several budgets.
    """
    middle, spread = _prior(dimensions, settings, budgets)
    values = middle * np.exp(spread * _normal(len(middle)))
    return Draws(_as_scales(values, dimensions, settings, budgets), np.zeros(DRAWS))


def adapted_draws(before: Draws, weights: Array, settings: int, budgets: bool = False) -> Draws:
    """Return draws from near those that explain the runs, and a quarter from the prior.

    The logarithms of the scales are drawn from independent normals with mean and spread of the
    weighted draws, no narrower than `_NARROWEST` of the prior's.

    | Adaptive Multiple Importance Sampling (Cornuet et al., 2012)

    Args:
        before: Earlier draws.
        weights: Their weights by prior and evidence, tempered, summing to 1, with shape (k,).
        settings: As for `prior_draws`.
        budgets: As for `prior_draws`.
    """
    dimensions = before.scales.length.shape[1]
    middle, spread = _prior(dimensions, settings, budgets)
    z = (np.log(_as_values(before.scales, settings, budgets)) - np.log(middle)) / spread
    mean = weights @ z
    sd = np.sqrt(weights @ (z - mean) ** 2 + _NARROWEST**2)
    drawn = _normal(len(middle))
    from_prior = np.arange(DRAWS) % 4 == 0
    drawn = np.where(from_prior[:, None], drawn, mean + sd * drawn)
    prior = -0.5 * (drawn**2).sum(1)
    near = -0.5 * (((drawn - mean) / sd) ** 2).sum(1) - np.log(sd).sum()
    ratio = prior - np.logaddexp(prior + np.log(0.25), near + np.log(0.75))
    values = middle * np.exp(spread * drawn)
    return Draws(_as_scales(values, dimensions, settings, budgets), ratio)


def _drawn(settings: int, budgets: bool) -> dict[str, tuple[float, float]]:
    """Median and spread of the logarithm of each scale that is drawn, but for the lengths."""
    return {
        **_SCALES,
        **({"settings": _SETTINGS} if settings else {}),
        **(_BUDGETS if budgets else {}),
    }


def _prior(dimensions: int, settings: int, budgets: bool) -> tuple[Array, Array]:
    """Medians and spreads of the logarithms of all scales, in the order of `_as_values`."""
    scales = list(_drawn(settings, budgets).values())
    middle, spread = np.array([_LENGTH] * dimensions + scales).T
    return middle, spread


@lru_cache(maxsize=8)
def _normal(count: int) -> Array:
    from scipy.stats import qmc  # a second to import, which a trial's process need not wait for

    # without the first half of the set, whose points lie on a coarse grid
    drawn: Array = ndtri(qmc.Sobol(count, scramble=False).random(2 * DRAWS)[DRAWS:])
    return drawn


def _as_scales(values: Array, dimensions: int, settings: int, budgets: bool) -> Hyperparameters:
    own = dict(zip(_drawn(settings, budgets), values[:, dimensions:].T, strict=True))
    none = np.zeros(len(values))
    rest = {name: own.get(name, none) for name in (*_SCALES, "settings", *_BUDGETS)}
    return Hyperparameters(values[:, :dimensions], **rest)


def _as_values(scales: Hyperparameters, settings: int, budgets: bool) -> Array:
    names = _drawn(settings, budgets)
    return np.column_stack([scales.length, *(getattr(scales, name) for name in names)])
