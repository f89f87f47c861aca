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
    """

    length: Array
    shape: Array
    own: Array
    seed: Array
    seed_shape: Array
    run: Array

    def keep(self, which: npt.NDArray[np.intp]) -> Self:
        """Return some of the draws."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))


@lru_cache(maxsize=8)
def prior_draws(dimensions: int) -> Hyperparameters:
    """Return the same draws in every process: a low-discrepancy set without a seed."""
    from scipy.stats import qmc  # a second to import, which a trial's process need not wait for

    medians = [_LENGTH] * dimensions + list(_SCALES.values())
    # without the first half of the set, whose points lie on a coarse grid
    unit = qmc.Sobol(len(medians), scramble=False).random(2 * DRAWS)[DRAWS:]
    middle, spread = np.array(medians).T
    values = middle * np.exp(spread * ndtri(unit))
    return Hyperparameters(values[:, :dimensions], *values[:, dimensions:].T)
