"""What is believed of candidates while one after the other begins to run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .belief import Belief
from .process import Points, Process, one_thread
from .scales import Array


class Several:
    """Candidates, of which some run already.

    A run that has begun counts as if it had come out as expected. So what is expected stays, and
    around it there is less left to be found out.

    | Parallelizing Exploration-Exploitation Tradeoffs in Gaussian Process Bandit Optimization
      (Desautels et al., 2014)

    Arguments:
        process: What has seen the runs before, k draws of it.
        points: The candidates, m of them.
        own: Whether what may be peculiar to each counts.
        believe: From location, variance and that of the level, each with shape (k, m), to a
            belief.
    """

    def __init__(
        self,
        process: Process,
        points: Points,
        own: bool,
        believe: Callable[[Array, Array, Array], Belief],
    ) -> None:
        self._process, self._points, self._own, self._believe = process, points, own, believe
        with one_thread():
            self._solved = process.solve(points)
            self._location, self._variance, self._of_level = process.read(
                self._solved, points, own
            )
        self._begun: list[Array] = []

    @property
    def belief(self) -> Belief:
        """What is believed of the candidates."""
        return self._believe(self._location, self._variance, self._of_level)

    def begin(self, number: int) -> None:
        """Note that a run of a candidate has begun."""
        process, cross, s = self._process, self._solved.cross, self._process.scales
        one = self._points.some(slice(number, number + 1))
        with one_thread():
            shared = process.prior(self._points, one, self._own)[:, :, 0]
            shared -= np.einsum("kmn,kn->km", cross, cross[:, number])
        for before in self._begun:
            shared -= before[:, number, None] * before
        noise = s.seed**2 + s.seed_shape**2 + s.run**2
        told = shared / np.sqrt(np.maximum(shared[:, number] + noise, 1e-12))[:, None]
        self._begun.append(told)
        self._variance = np.maximum(self._variance - told**2, 0.0)
