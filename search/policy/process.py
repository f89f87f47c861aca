"""Linear algebra of the surrogate: one Gaussian process under many draws of its scales.

Whatever is symmetric is computed for half of the pairs, and once for all runs of a schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dtrtrs
from threadpoolctl import ThreadpoolController

from .scales import Array, Hyperparameters

Indices = npt.NDArray[np.intp]
_JITTER = 1e-8
_APART = 1e16  # far above any square that is taken from it, so that a root exists


class Runs(NamedTuple):
    """What was measured.

    Attributes:
        x: Coordinates of the schedules, with shape (u, d).
        owner: Number of each run's schedule, with shape (n,).
        seed: Seed of each run, with shape (n,).
        y: Value of each run, with shape (n,).
        settings: How many of the coordinates, the last ones, are of hyperparameters.
    """

    x: Array
    owner: Indices
    seed: Indices
    y: Array
    settings: int = 0

    def some(self, which: Indices) -> Runs:
        """Return some of the runs."""
        return Runs(self.x, self.owner[which], self.seed[which], self.y[which], self.settings)


@dataclass(frozen=True)
class Process:
    """A process that has seen runs, for each of k draws of the scales.

    The constant m is estimated along, as the generalised mean.

    Arguments:
        runs: The runs.
        scales: The draws.
        root: Lower triangular root L of the covariance of the runs, with shape (k, n, n).
        one: L^-1 1, with shape (k, n).
        half: L^-1 (y - m), with shape (k, n).
        mean: The constant m, with shape (k,).
        total: 1' K^-1 1, the inverse variance of m, with shape (k,).
        evidence: Logarithm of the marginal likelihood, up to a constant, with shape (k,).
    """

    runs: Runs
    scales: Hyperparameters
    root: Array
    one: Array
    half: Array
    mean: Array
    total: Array
    evidence: Array

    def keep(self, which: Indices) -> Process:
        """Return the same for some of the draws."""
        arrays = (self.root, self.one, self.half, self.mean, self.total, self.evidence)
        return Process(self.runs, self.scales.keep(which), *(array[which] for array in arrays))

    def predict(
        self, x: Array, schedule: Indices | None = None, own: bool = True
    ) -> tuple[Array, Array, Array]:
        """Return what each draw says of f + h + c at m points.

        Args:
            x: The points, with shape (m, d).
            schedule: Numbers of the schedules that they are; None: none that was tried.
            own: Whether c counts at points that were not tried.

        Returns:
            Location, variance given m, and that which not knowing m adds, each of shape (k, m).
        """
        s, owner = self.scales, self.runs.owner
        squares = _squares(x, self.runs.x)
        shared = (s.shape**2)[:, None, None] * _matern(squares, s)
        if self.runs.settings:
            shared += (s.settings**2)[:, None, None] * _matern(squares, s, self.runs.settings)
        cross = np.take(shared, owner, axis=2)
        if schedule is not None:
            cross += (s.own**2)[:, None, None] * (schedule[:, None] == owner)
        solved = np.empty_like(cross)
        for root, given, found in zip(self.root, cross, solved, strict=True):
            # both transposed, which spares LAPACK a copy of them
            found[:] = dtrtrs(root.T, given.T, lower=0, trans=1)[0].T
        location = self.mean[:, None] + np.einsum("kmn,kn->km", solved, self.half)
        prior = (s.shape**2 + s.own**2 * (own or schedule is not None) + s.settings**2)[:, None]
        variance = np.maximum(prior - np.einsum("kmn,kmn->km", solved, solved), 0.0)
        by_mean = 1 - np.einsum("kmn,kn->km", solved, self.one)
        return location, variance, by_mean**2 / self.total[:, None]


def fit(runs: Runs, scales: Hyperparameters) -> Process:
    """Let a process see runs, under every draw."""
    count = len(runs.y)
    full = np.asarray(np.linalg.cholesky(_bordered(runs, scales)), dtype=np.float64)
    # the root of a bordered matrix holds, in the border, what solving with the root would give
    root = np.ascontiguousarray(full[:, :count, :count])
    solved = full[:, count, :count]
    one = full[:, count + 1, :count].copy()
    total: Array = (one**2).sum(1)
    mean: Array = (solved * one).sum(1) / total
    half: Array = solved - mean[:, None] * one
    evidence: Array = (
        -0.5 * (half**2).sum(1)
        - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1)
        - 0.5 * np.log(total)
    )
    return Process(runs, scales, root, one, half, mean, total, evidence)


def _bordered(runs: Runs, s: Hyperparameters) -> Array:
    """The covariance of n runs, then y and ones as two more rows; only the lower half counts."""
    count = len(runs.y)
    which, owner = np.unique(runs.owner, return_inverse=True)
    pairs, place = _pairs(len(which))
    one, other = runs.x[which[pairs[0]]], runs.x[which[pairs[1]]]
    squares = (one - other) ** 2
    correlation = _matern(squares, s)
    apart = (s.shape**2)[:, None] * correlation + (s.own**2)[:, None] * (pairs[0] == pairs[1])
    if runs.settings:
        apart += (s.settings**2)[:, None] * _matern(squares, s, runs.settings)
    alike = apart + (s.seed**2)[:, None] + (s.seed_shape**2)[:, None] * correlation
    of_runs = np.zeros((count + 2, count + 2), dtype=np.intp)
    same_seed = runs.seed[:, None] == runs.seed
    of_runs[:count, :count] = place[owner[:, None], owner] + len(pairs[0]) * same_seed
    covariance = np.take(np.concatenate([apart, alike], axis=1), of_runs, axis=1)
    inner = np.arange(count)
    covariance[:, inner, inner] += s.run[:, None] ** 2 + _JITTER
    covariance[:, count, :count] = runs.y
    covariance[:, count + 1, : count + 1] = [1.0] * count + [0.0]
    covariance[:, [count, count + 1], [count, count + 1]] = _APART
    return covariance


@lru_cache(maxsize=2)
def _pairs(count: int) -> tuple[tuple[Indices, Indices], Indices]:
    """All pairs of so many, each once, and a table of where a pair is, either way round."""
    one, other = np.tril_indices(count)
    place = np.empty((count, count), dtype=np.intp)
    place[one, other] = place[other, one] = np.arange(len(one))
    return (one, other), place


def _squares(a: Array, b: Array) -> Array:
    squares: Array = (a[:, None, :] - b[None, :, :]) ** 2
    return squares


def _matern(squares: Array, scales: Hyperparameters, last: int = 0) -> Array:
    """Matern 5/2 correlation for each draw, from squared differences by coordinate (last axis).

    With ``last``, only over so many of the last coordinates.
    """
    flat = squares.reshape(-1, squares.shape[-1])[:, -last:]
    r = (5 * scales.length[:, -last:] ** -2) @ flat.T
    np.sqrt(r, out=r)
    correlation = r * r
    correlation /= 3
    correlation += r
    correlation += 1
    np.negative(r, out=r)
    correlation *= np.exp(r, out=r)
    return correlation.reshape(-1, *squares.shape[:-1])


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread meanwhile.

    The matrices of a `ShapeSurrogate` are small. More threads gain little on them, and where
    other work keeps the cores busy, as while a search runs, they wait for one another: ranking
    800 configurations then took fifty times as long.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    # it looks through all libraries that the process has loaded
    return ThreadpoolController()
