"""Where schedules come from that a sampler chooses among: a search space, or a fixed pool."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mollitune.schedules import SAME_CURVE, Schedule, curve_distance

from .space import FamilySpace
from .tried import TriedCurves

CANDIDATES = 256
_ILLEGAL_DRAWS = 100


class Source(Protocol):
    """Offers schedules; `take` tells it which one was used."""

    def candidates(self, rng: random.Random) -> Sequence[Schedule]:
        """Return schedules to choose among, at least one.

        Arguments:
            rng: What draws them, if they are drawn.
        """

    def nearest(self, schedule: Schedule) -> Schedule:
        """Return the offered schedule next to a given one."""

    def take(self, schedule: Schedule) -> None:
        """Note that a schedule is tried."""


class SpaceSource:
    """Random points of a search space, each family equally often.

    A curve that was tried already, in whatever parameters, is not offered again while there are
    others; once there are none, what was tried is offered, for further seeds.

    Arguments:
        spaces: The searched families by name.
        side: Side of the images in pixels.
    """

    def __init__(self, spaces: Mapping[str, FamilySpace], side: int) -> None:
        self._spaces = list(spaces.values())
        self._side = side
        self._tried = TriedCurves(SAME_CURVE)
        self._taken: list[Schedule] = []

    def candidates(self, rng: random.Random) -> Sequence[Schedule]:
        """Return new random schedules, see `Source`."""
        drawn = [self._draw(self._spaces[i % len(self._spaces)], rng) for i in range(CANDIDATES)]
        return self._tried.new(drawn) or self._taken

    def nearest(self, schedule: Schedule) -> Schedule:
        """Return the schedule itself: every point of the space is offered."""
        return schedule

    def take(self, schedule: Schedule) -> None:
        """Note a tried schedule, see `Source`."""
        self._tried.add(schedule)
        self._taken.append(schedule)

    def _draw(self, space: FamilySpace, rng: random.Random) -> Schedule:
        dimensions = space.dimensions(self._side)
        for _ in range(_ILLEGAL_DRAWS - 1):
            point = {name: d.sample(rng) for name, d in dimensions.items()}
            try:
                return space.schedule(point)
            except ValueError:  # a corner that the family itself refuses
                continue
        return space.schedule({name: d.sample(rng) for name, d in dimensions.items()})


class PoolSource:
    """A fixed list of schedules, each of which can be taken once: recorded curves.

    Arguments:
        pool: The schedules.
    """

    def __init__(self, pool: Sequence[Schedule]) -> None:
        self._left = list(pool)

    def __len__(self) -> int:
        return len(self._left)

    def candidates(self, rng: random.Random) -> Sequence[Schedule]:
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


ORDER = ("vanilla", "sigmoid", "exponential", "polynomial", "cosine", "linear", "edm", "blur")
"""Families whose defaults come first: the baseline, the paper's default, then as the defaults
fared on the recorded tables, see ``benchmarks/README.md``."""

_FEW = 3


def first_tried(defaults: Iterable[Schedule]) -> list[Schedule]:
    """Return vanilla and defaults in the order in which they are tried, each curve once.

    The default of a flexible family is often that of a simpler one: trying both would cost a run
    and show nothing.
    """
    tried: list[Schedule] = []
    for schedule in sorted(defaults, key=_place):
        if all(curve_distance(schedule, other) > SAME_CURVE for other in tried):
            tried.append(schedule)
    return tried


def arms_within(known: int, runs: float) -> int:
    """Return how many of ``known`` arms a model tries in this many runs.

    A quarter of the runs go to arms; in small searches three, and never more than half. More of
    them leave nothing to search with, see ``benchmarks/README.md``.

    Example:
        >>> [arms_within(9, runs) for runs in (1, 4, 8, 12, 24, 100)]
        [1, 2, 3, 3, 6, 9]
    """
    few = min(_FEW, int(runs // 2))
    return min(known, max(1, few, int(runs // 4)))


def _place(schedule: Schedule) -> int:
    return ORDER.index(schedule.family) if schedule.family in ORDER else len(ORDER)
