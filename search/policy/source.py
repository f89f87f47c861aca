"""Where schedules come from that a sampler chooses among: a search space, or a fixed pool."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Protocol

from mollitune.schedules import SAME_CURVE, Schedule, curve_distance
from mollitune.search.space import FamilySpace

from .tried import TriedCurves

CANDIDATES = 256
_ILLEGAL_DRAWS = 100


class Source(Protocol):
    """Offers schedules; `take` tells it which one was used."""

    def candidates(self) -> Sequence[Schedule]:
        """Return schedules to choose among, at least one."""

    def nearest(self, schedule: Schedule) -> Schedule:
        """Return the offered schedule next to a given one."""

    def take(self, schedule: Schedule) -> None:
        """Note that a schedule is tried."""


class SpaceSource:
    """Random points of a search space, each family equally often.

    A curve that was tried already, in whatever parameters, is not offered again.

    Arguments:
        spaces: The searched families by name.
        side: Side of the images in pixels.
        seed: Seed of the draws.
    """

    def __init__(self, spaces: Mapping[str, FamilySpace], side: int, seed: int) -> None:
        self._spaces = list(spaces.values())
        self._side = side
        self._rng = random.Random(seed)
        self._tried = TriedCurves(SAME_CURVE)

    def candidates(self) -> Sequence[Schedule]:
        """Return new random schedules, see `Source`."""
        drawn = [self._draw(self._spaces[i % len(self._spaces)]) for i in range(CANDIDATES)]
        return self._tried.new(drawn) or drawn

    def nearest(self, schedule: Schedule) -> Schedule:
        """Return the schedule itself: every point of the space is offered."""
        return schedule

    def take(self, schedule: Schedule) -> None:
        """Note a tried schedule, see `Source`."""
        self._tried.add(schedule)

    def _draw(self, space: FamilySpace) -> Schedule:
        dimensions = space.dimensions(self._side)
        for _ in range(_ILLEGAL_DRAWS - 1):
            point = {name: d.sample(self._rng) for name, d in dimensions.items()}
            try:
                return space.schedule(point)
            except ValueError:  # a corner that the family itself refuses
                continue
        return space.schedule({name: d.sample(self._rng) for name, d in dimensions.items()})


class PoolSource:
    """A fixed list of schedules, each of which can be taken once: recorded curves.

    Arguments:
        pool: The schedules.
    """

    def __init__(self, pool: Sequence[Schedule]) -> None:
        self._left = list(pool)

    def __len__(self) -> int:
        return len(self._left)

    def candidates(self) -> Sequence[Schedule]:
        """Return what is left of the pool."""
        return list(self._left)

    def nearest(self, schedule: Schedule) -> Schedule:
        """Return the schedule that is left whose curve is nearest.

        A blur and noise have no distance; with none of the kind left, any other is taken.
        """
        return min(self._left, key=lambda left: curve_distance(left, schedule))

    def take(self, schedule: Schedule) -> None:
        """Remove a schedule from the pool."""
        # by identity, since the pool may hold equal schedules with runs of their own
        del self._left[next(i for i, left in enumerate(self._left) if left is schedule)]
