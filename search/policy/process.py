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

from .scales import Array, Hyperparameters, Kinds
from .shape import UNTIL

Indices = npt.NDArray[np.intp]
_JITTER = 1e-8
_ALL = slice(None)
_LEVEL = 10.0  # variance of the level of an earlier search, whose values are centred
_APART = 1e16  # far above any square that is taken from it, so that a root exists


NEW = -1
"""Stands for a configuration that was not tried."""


class Points(NamedTuple):
    """Configurations at budgets.

    Attributes:
        x: Coordinates, with shape (m, d).
        base: Number of each configuration, whatever its budget, or `NEW`, with shape (m,).
        budget: Decimal logarithm of the budget over the shortest, >= 0, with shape (m,).
        search: Number of the earlier search from 1, or 0 for this one, with shape (m,).
    """

    x: Array
    base: Indices
    budget: Array
    search: Indices

    def some(self, which: Indices | slice) -> Points:
        """Return some of the points."""
        return Points(self.x[which], self.base[which], self.budget[which], self.search[which])

    def with_more(self, more: Points) -> Points:
        """Return these points, then more."""
        return Points(
            np.concatenate([self.x, more.x]),
            np.concatenate([self.base, more.base]),
            np.concatenate([self.budget, more.budget]),
            np.concatenate([self.search, more.search]),
        )


class Runs(NamedTuple):
    """What was measured.

    Attributes:
        points: What was tried, u points.
        owner: Number of each run's point, with shape (n,).
        seed: Seed of each run, with shape (n,).
        y: Value of each run, with shape (n,).
        kinds: What there is to be modelled.
    """

    points: Points
    owner: Indices
    seed: Indices
    y: Array
    kinds: Kinds

    def some(self, which: Indices) -> Runs:
        """Return some of the runs."""
        of_runs = {name: getattr(self, name)[which] for name in ("owner", "seed", "y")}
        return self._replace(**of_runs)


class Solved(NamedTuple):
    """What k draws say of m points, before it is put together.

    Attributes:
        location: Mean of f + h + c, with shape (k, m).
        cross: L^-1 times the covariance with the runs, with shape (k, m, n).
        by_mean: How much the point follows the constant m, with shape (k, m).
    """

    location: Array
    cross: Array
    by_mean: Array


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

    def predict(self, points: Points, own: bool = True) -> tuple[Array, Array, Array]:
        """Return what each draw says of f + h + c at m points.

        Args:
            points: The points.
            own: Whether c counts at points that were not tried.

        Returns:
            Location, variance given m, and that which not knowing m adds, each of shape (k, m).
        """
        return self.read(self.solve(points), points, own)

    def read(self, solved: Solved, points: Points, own: bool = True) -> tuple[Array, Array, Array]:
        """Return what `predict` does, of points that were brought together with the runs."""
        prior = self._prior(points, own)
        variance = np.maximum(prior - np.einsum("kmn,kmn->km", solved.cross, solved.cross), 0.0)
        return solved.location, variance, solved.by_mean**2 / self.total[:, None]

    def solve(self, points: Points) -> Solved:
        """Bring points and runs together."""
        s, owner, tried = self.scales, self.runs.owner, self.runs.points
        squares = _squares(points.x, tried.x)
        shared = (s.shape**2)[:, None, None] * _matern(squares, s)
        if self.runs.kinds.settings:
            shared += (s.settings**2)[:, None, None] * _matern(
                squares, s, slice(-self.runs.kinds.settings, None)
            )
        known = (points.base != NEW).any()
        if known:
            shared += (s.own**2)[:, None, None] * (points.base[:, None] == tried.base)
        if self.runs.kinds.budgets:
            shared += self._moves(squares, points.budget[:, None], tried.budget)
        _set_apart(shared, points.search[:, None], tried.search, s)
        cross = np.take(shared, owner, axis=2)
        solved = np.empty_like(cross)
        for root, given, found in zip(self.root, cross, solved, strict=True):
            # both transposed, which spares LAPACK a copy of them
            found[:] = dtrtrs(root.T, given.T, lower=0, trans=1)[0].T
        location = self.mean[:, None] + np.einsum("kmn,kn->km", solved, self.half)
        return Solved(location, solved, 1 - np.einsum("kmn,kn->km", solved, self.one))

    def covariance(self, points: Points, others: Points) -> Array:
        """Return the covariance of f + h + c at m points with that at o others, not knowing m.

        Returns:
            Array of shape (k, m, o).
        """
        a, b = self.solve(points), self.solve(others)
        of_level = a.by_mean[:, :, None] * b.by_mean[:, None] / self.total[:, None, None]
        prior = self.prior(points, others)
        found: Array = prior - a.cross @ b.cross.swapaxes(1, 2) + of_level
        return found

    def prior(self, points: Points, others: Points, own: bool = True) -> Array:
        """Return the same covariance, with shape (k, m, o), before any run was seen.

        Args:
            points: The points.
            others: The others.
            own: Whether c counts at points that were not tried.
        """
        s = self.scales
        squares = _squares(points.x, others.x)
        prior = (s.shape**2)[:, None, None] * _matern(squares, s)
        if self.runs.kinds.settings:
            prior += (s.settings**2)[:, None, None] * _matern(
                squares, s, slice(-self.runs.kinds.settings, None)
            )
        same = (squares == 0).all(2) & (points.base[:, None] == others.base)
        same &= own | (others.base != NEW)
        prior += (s.own**2)[:, None, None] * same
        if self.runs.kinds.budgets:
            prior += self._moves(squares, points.budget[:, None], others.budget)
        _set_apart(prior, points.search[:, None], others.search, s)
        return prior

    def _prior(self, points: Points, own: bool) -> Array:
        s = self.scales
        peculiar = (s.own**2)[:, None] * (own | (points.base != NEW))
        prior: Array = (s.shape**2 + s.settings**2)[:, None] + peculiar
        if self.runs.kinds.budgets:
            same = np.zeros_like(points.x)
            prior += self._moves(same, points.budget, points.budget)
        return prior

    def _moves(self, squares: Array, one: Array, other: Array) -> Array:
        return _moves(squares, one, other, self.scales, self.runs.kinds.settings)


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
    one, other = (runs.points.some(which[side]) for side in pairs)
    squares = (one.x - other.x) ** 2
    correlation = _matern(squares, s)
    apart = (s.shape**2)[:, None] * correlation + (s.own**2)[:, None] * (one.base == other.base)
    if runs.kinds.settings:
        apart += (s.settings**2)[:, None] * _matern(squares, s, slice(-runs.kinds.settings, None))
    if runs.kinds.budgets:
        apart += _moves(squares, one.budget, other.budget, s, runs.kinds.settings)
    _set_apart(apart, one.search, other.search, s)
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


def _moves(squares: Array, one: Array, other: Array, s: Hyperparameters, settings: int) -> Array:
    """Covariance of what budgets do: to all alike, and to each by its share of mollified training.

    What else there is to a shape does at every budget what it does at the shortest. Both move as a
    line in the logarithm of the budget that bends: with what an integrated Wiener process adds,
    which is a cubic smoothing spline. So far outside of what was measured it is a line again, and
    the farther the less is known of it.

    | Spline Models for Observational Data (Wahba, 1990), chapter 1

    Args:
        squares: Squared differences by coordinate, with shape (..., d).
        one: Budgets, see `Points`.
        other: Budgets; both together have the shape (...).
        s: The draws, k of them.
        settings: How many coordinates are of hyperparameters, which may move it, too.

    Returns:
        Array of shape (k, ...).
    """
    low, high = np.minimum(one, other), np.maximum(one, other)
    line, bends = one * other, low**2 * (3 * high - low) / 6
    which = [UNTIL, *range(squares.shape[-1] - settings, squares.shape[-1])]
    alike = _matern(squares, s, which)

    def along(scale: Array) -> Array:
        return scale.reshape(-1, *(1,) * line.ndim)

    change = line + along(s.bend**2) * bends
    moves: Array = (along((s.slope * s.shape) ** 2) * alike + along(s.trend**2)) * change
    return moves


def _set_apart(covariance: Array, one: Indices, other: Indices, s: Hyperparameters) -> None:
    """Let searches agree as far as the draws have it; each earlier one has a level of its own.

    Args:
        covariance: That of one search, with shape (k, ...); changed in place.
        one: Numbers of the searches, see `Points`.
        other: The same; both together have the shape (...).
        s: The draws.
    """
    if not (one.any() or other.any()):
        return
    covariance *= s.agreement[:, one, other]
    covariance += _LEVEL * ((one == other) & (one > 0))


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


def _matern(squares: Array, scales: Hyperparameters, which: slice | list[int] = _ALL) -> Array:
    """Matern 5/2 correlation for each draw, from squared differences by coordinate (last axis).

    With ``which``, only over these coordinates.
    """
    flat = squares.reshape(-1, squares.shape[-1])[:, which]
    r = (5 * scales.length[:, which] ** -2) @ flat.T
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
