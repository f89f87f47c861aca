"""The hyperparameters that are searched beside the schedule, and where a value of them lies."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mollitune.schedules import Choice, Dimension, Float, Int, Option

from .configuration import Settings, settings_of
from .dimensions import at, contains, coordinates, ends, nearest

_STEP = 0.12
"""How far a neighbour lies from a point in a coordinate, one standard deviation."""
_END = 0.05
"""How near to the end of a range the best of it lies suspiciously."""
_FEW = 4
MOST_CORNERS = 64


@dataclass(frozen=True)
class Hyperspace:
    """The searched hyperparameters of one model.

    Arguments:
        dimensions: What is searched, by name.
        first: The values that the first runs have.
    """

    dimensions: Mapping[str, Dimension] = field(default_factory=dict)
    first: Settings = ()

    def __bool__(self) -> bool:
        return bool(self.dimensions)

    def __hash__(self) -> int:
        return hash((tuple(self.dimensions), self.first))

    def draw(self, rng: random.Random) -> Settings:
        """Draw a point, uniformly in the scale of each dimension."""
        return settings_of({name: d.sample(rng) for name, d in self.dimensions.items()})

    def near(self, settings: Settings, rng: random.Random) -> Settings:
        """Draw a neighbour of a point: about half of the coordinates move, at least one."""
        found, names = dict(settings), list(self.dimensions)
        moved = [name for name in names if rng.random() < 0.5] or [rng.choice(names)]
        for name in moved:
            found[name] = neighbour(self.dimensions[name], found[name], rng)
        return settings_of(found)

    def coordinates(self, settings: Settings) -> tuple[float, ...]:
        """Return where a point lies, every coordinate in [0, 1]."""
        own = dict(settings)
        return tuple(c for name, d in self.dimensions.items() for c in coordinates(d, own[name]))

    def at_an_end(self, settings: Settings) -> list[str]:
        """Return the names of the ranges at whose ends a point lies: better may lie beyond.

        A few whole numbers have hardly anything but ends, and do not count.
        """
        own = dict(settings)
        return [
            name
            for name, d in self.dimensions.items()
            if isinstance(d, Float) or (isinstance(d, Int) and d.high - d.low > _FEW)
            if not _END <= coordinates(d, own[name])[0] <= 1 - _END
        ]

    def read(self, values: Mapping[str, Any]) -> Settings:
        """Return the point that values of a table mean; there whole numbers may be 64.0.

        Raises:
            ValueError: If one is missing or lies outside of what is searched.
        """
        found = {}
        for name, d in self.dimensions.items():
            value = values.get(name)
            if value is None or not contains(d, value):
                raise ValueError(f"{name} = {value!r} lies outside of what is searched")
            found[name] = nearest(d, value)
        return settings_of(found)

    def corners(self, names: Sequence[str]) -> Iterator[dict[str, Option]]:
        """Yield the extreme points of some dimensions; of very many the first `MOST_CORNERS`."""
        every = itertools.product(*(ends(self.dimensions[name]) for name in names))
        for corner in itertools.islice(every, MOST_CORNERS):
            yield dict(zip(names, corner, strict=True))


def neighbour(dimension: Dimension, value: Option, rng: random.Random) -> Option:
    """Draw a value near another one; of names any."""
    if isinstance(dimension, Choice):
        return dimension.sample(rng)
    (place,) = coordinates(dimension, value)
    return at(dimension, place + rng.gauss(0.0, _STEP))


NOTHING = Hyperspace()
"""Where the schedule alone is searched."""
