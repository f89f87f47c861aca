"""Where configurations come from that a sampler chooses among: a search space, or a pool."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mollitune.schedules import SAME_CURVE, Schedule, curve_distance

from .configuration import Configuration, Settings
from .hyperspace import NOTHING, Hyperspace
from .space import FamilySpace
from .tried import TriedCurves

CANDIDATES = 128
_ILLEGAL_DRAWS = 100
_VANILLA = FamilySpace("vanilla")


class Source(Protocol):
    """Offers configurations; `take` tells it which one was used."""

    def candidates(self, rng: random.Random, vanilla: bool = False) -> Sequence[Configuration]:
        """Return configurations to choose among, at least one.

        Arguments:
            rng: What draws them, if they are drawn.
            vanilla: Whether those without mollification are wanted, or those with it.
        """

    def draw(self, rng: random.Random, vanilla: bool = False) -> Configuration:
        """Return one of them at random, each family equally often."""

    def near(
        self, tried: Sequence[Configuration], count: int, rng: random.Random
    ) -> Sequence[Configuration]:
        """Return about so many neighbours of tried configurations; none if all are offered."""

    def nearest(self, wanted: Configuration) -> Configuration:
        """Return the offered configuration next to a given one."""

    def take(self, configuration: Configuration) -> None:
        """Note that a configuration is tried."""


class SpaceSource:
    """Random points of a search space, each family equally often.

    A configuration that was tried already, its curve in whatever parameters, is not offered again
    while there are others; once there are none, what was tried is offered, for further seeds.

    Arguments:
        spaces: The searched families by name.
        side: Side of the images in pixels.
        hyperspace: The hyperparameters that are searched beside them.
    """

    def __init__(
        self, spaces: Mapping[str, FamilySpace], side: int, hyperspace: Hyperspace = NOTHING
    ) -> None:
        self._spaces = list(spaces.values())
        self._by_family = dict(spaces)
        self._side = side
        self._hyperspace = hyperspace
        self._tried: dict[Settings, TriedCurves] = {}
        self._taken: list[Configuration] = []

    def candidates(self, rng: random.Random, vanilla: bool = False) -> Sequence[Configuration]:
        """Return new random configurations, see `Source`."""
        spaces = [_VANILLA] if vanilla else self._spaces
        drawn = [self._draw(spaces[i % len(spaces)], rng) for i in range(CANDIDATES)]
        own_side = [c for c in self._taken if c.is_vanilla is vanilla]
        return self._new(drawn) or own_side or self._taken

    def draw(self, rng: random.Random, vanilla: bool = False) -> Configuration:
        """Return a new random configuration, see `Source`."""
        spaces = [_VANILLA] if vanilla else self._spaces
        # one of each family will do, nearly always
        few = self._new([self._draw(space, rng) for space in spaces])
        return rng.choice(few or self.candidates(rng, vanilla))

    def near(
        self, tried: Sequence[Configuration], count: int, rng: random.Random
    ) -> Sequence[Configuration]:
        """Return new neighbours, equally many of each: see `Source`."""
        found = [self._neighbour(tried[i % len(tried)], rng) for i in range(count)]
        return self._new([configuration for configuration in found if configuration is not None])

    def nearest(self, wanted: Configuration) -> Configuration:
        """Return the configuration itself: every point of the space is offered."""
        return wanted

    def take(self, configuration: Configuration) -> None:
        """Note a tried configuration, see `Source`."""
        curves = self._tried.setdefault(configuration.settings, TriedCurves(SAME_CURVE))
        curves.add(configuration.schedule)
        self._taken.append(configuration)

    def _new(self, drawn: Sequence[Configuration]) -> list[Configuration]:
        """Return those of which no run was made, in their order."""
        groups: dict[Settings, list[Configuration]] = {}
        for configuration in drawn:
            groups.setdefault(configuration.settings, []).append(configuration)
        new: set[int] = set()
        for settings, own in groups.items():
            curves = self._tried.get(settings)
            left = [c.schedule for c in own]
            kept = left if curves is None else curves.new(left)
            ids = {id(schedule) for schedule in kept}
            new |= {id(c) for c in own if id(c.schedule) in ids}
        return [c for c in drawn if id(c) in new]

    def _draw(self, space: FamilySpace, rng: random.Random) -> Configuration:
        dimensions = space.dimensions(self._side)
        for left in reversed(range(_ILLEGAL_DRAWS)):
            point = {name: d.sample(rng) for name, d in dimensions.items()}
            try:
                schedule = space.schedule(point)
                break
            except ValueError:  # a corner that the family itself refuses
                if not left:
                    raise
        return Configuration(schedule, self._hyperspace.draw(rng))

    def _neighbour(self, tried: Configuration, rng: random.Random) -> Configuration | None:
        space = self._by_family.get(tried.schedule.family, _VANILLA)
        settings = tried.settings
        if self._hyperspace:
            settings = self._hyperspace.near(settings, rng)
        try:
            return Configuration(space.near(tried.schedule, self._side, rng), settings)
        except ValueError:  # a corner that the family itself refuses
            return None


class PoolSource:
    """A fixed list of configurations, each of which can be taken once: recorded curves.

    Arguments:
        pool: The configurations.
        hyperspace: The hyperparameters in which they differ.
    """

    def __init__(self, pool: Sequence[Configuration], hyperspace: Hyperspace = NOTHING) -> None:
        self._left = list(pool)
        self._hyperspace = hyperspace

    def __len__(self) -> int:
        return len(self._left)

    def candidates(self, rng: random.Random, vanilla: bool = False) -> Sequence[Configuration]:
        """Return what is left of that side of the pool, or of both: once it has nothing more.

        Without hyperparameters vanilla is one of many, and no side.
        """
        own = [c for c in self._left if c.is_vanilla is vanilla] if self._hyperspace else []
        return own or list(self._left)

    def draw(self, rng: random.Random, vanilla: bool = False) -> Configuration:
        """Return one that is left, see `Source`."""
        return rng.choice(self.candidates(rng, vanilla))

    def near(
        self, tried: Sequence[Configuration], count: int, rng: random.Random
    ) -> Sequence[Configuration]:
        """Return nothing: all that is left is offered anyway."""
        return ()

    def nearest(self, wanted: Configuration) -> Configuration:
        """Return what is left whose curve is nearest, at the hyperparameters that are.

        A blur and noise have no distance; with none of the kind left, any other is taken.
        """
        return min(self._left, key=lambda left: distance(left, wanted, self._hyperspace))

    def take(self, configuration: Configuration) -> None:
        """Remove a configuration from the pool."""
        # by identity, since the pool may hold equal ones with runs of their own
        del self._left[next(i for i, left in enumerate(self._left) if left is configuration)]


def distance(one: Configuration, other: Configuration, hyperspace: Hyperspace) -> float:
    """Return how far apart two configurations are, in curves and in hyperparameters."""
    places = (hyperspace.coordinates(own.settings) for own in (one, other))
    between = sum((a - b) ** 2 for a, b in zip(*places, strict=True))
    return math.hypot(curve_distance(one.schedule, other.schedule), math.sqrt(between))


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
