"""The search space: each family brings its own parameters, which a config may fix or re-range."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from mollitune.schedules import (
    Choice,
    Float,
    Int,
    Schedule,
    build,
    families,
    lookup,
)

from .dimensions import contains, dimension, ends, is_number, nearest, spelled_out
from .hyperspace import neighbour

ParameterValue = float | str
Override = ParameterValue | Float | Choice

_AUTHORS_UNTIL = 0.6
_CHECK_SIDE = 8  # any side will do: only blur's range depends on it


@dataclass(frozen=True)
class FamilySpace:
    """One schedule family and what a config overrides in its search space.

    Arguments:
        family: Name of the family.
        overrides: For some parameters a fixed value, or another range or set of choices.
    """

    family: str
    overrides: Mapping[str, Override] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(cls, entry: object) -> FamilySpace:
        """Read an entry of the config's ``families``.

        Arguments:
            entry: A name; or a mapping from the name to parameters, each a fixed value, a range
                ``[low, high]``, or a list of names, e.g. ``{"sigmoid": {"tau": 0.7}}``.

        Raises:
            ValueError: If the family or a parameter is unknown, or a value is illegal.
        """
        if isinstance(entry, FamilySpace):
            return entry
        if isinstance(entry, str):
            name = entry
            raw: Any = {}
        elif isinstance(entry, dict) and len(entry) == 1:
            ((name, raw),) = entry.items()
        else:
            raise ValueError(
                f"{entry!r} is no family; write a name or {{name: {{parameter: value}}}}"
            )
        if name not in families():
            raise ValueError(f"family {name!r} is unknown; allowed: {', '.join(families())}")
        if not isinstance(raw, dict):
            raise ValueError(f"family {name}: {raw!r} is no mapping of parameters to values")
        space = cls(name, {key: _override(name, key, value) for key, value in raw.items()})
        space._check()
        return space

    def dimensions(self, side: int) -> dict[str, Float | Choice]:
        """Return the searched parameters for images of ``side`` pixels, by name."""
        space = dict(lookup(self.family).search_space(side))
        for name, override in self.overrides.items():
            space.pop(name, None)
            if isinstance(override, Float | Choice):
                space[name] = override
        return space

    @property
    def latest(self) -> float:
        """The largest share of the training that any schedule of it mollifies."""
        own = {**lookup(self.family).search_space(_CHECK_SIDE), **self.overrides}
        found = own.get("until", 0.0)
        return max(map(float, ends(found) if isinstance(found, Float | Choice) else (found,)))

    def schedule(self, point: Mapping[str, ParameterValue]) -> Schedule:
        """Return the schedule at a point of `dimensions`, with the fixed values added.

        Raises:
            ValueError: If the values do not make a legal schedule.
        """
        constants = lookup(self.family).search_constants
        return build(self.family, **{**constants, **self.fixed(), **point})

    def fixed(self) -> dict[str, ParameterValue]:
        """Return the parameters that the config holds at one value."""
        return {k: v for k, v in self.overrides.items() if not isinstance(v, Float | Choice)}

    def default(self, side: int) -> Schedule:
        """Return the family's first arm: its default curve over 60 % of training.

        Curve and share are the authors' setting where there is one. A range in the config moves
        them to its nearest end; the built-in ranges do not, since the default must be tried even
        if the search looks elsewhere.
        """
        values: dict[str, ParameterValue] = {}
        for parameter in dataclasses.fields(lookup(self.family)):
            override = self.overrides.get(parameter.name)
            preferred = _AUTHORS_UNTIL if parameter.name == "until" else parameter.default
            if override is not None and not isinstance(override, Float | Choice):
                values[parameter.name] = override
            elif override is not None or preferred is dataclasses.MISSING:
                dimension = self.dimensions(side)[parameter.name]
                values[parameter.name] = nearest(dimension, preferred)
            else:
                values[parameter.name] = preferred
        return build(self.family, **values)

    def point(self, schedule: Schedule, side: int) -> dict[str, ParameterValue] | None:
        """Return where a schedule lies in `dimensions`, or None if it lies outside."""
        dimensions = self.dimensions(side)
        whole = {**lookup(self.family).search_constants, **schedule.point()}
        point = {name: whole[name] for name in dimensions}
        inside = all(contains(dimensions[name], value) for name, value in point.items())
        if not inside or not _same_curve(self.schedule(point), schedule):
            return None
        return point

    def near(self, schedule: Schedule, side: int, rng: random.Random) -> Schedule:
        """Draw a neighbour of a schedule of the family: about half of its parameters move.

        It is the schedule itself if it lies outside of `dimensions`.

        Raises:
            ValueError: If the values do not make a legal schedule.
        """
        point, dimensions = self.point(schedule, side), self.dimensions(side)
        if not point:
            return schedule
        moved = [name for name in point if rng.random() < 0.5] or [rng.choice(list(point))]
        for name in moved:
            point[name] = neighbour(dimensions[name], point[name], rng)
        return self.schedule(point)

    def to_dict(self) -> str | dict[str, Any]:
        """Return the entry as it may stand in a config."""
        if not self.overrides:
            return self.family
        return {
            self.family: {
                name: spelled_out(value) if isinstance(value, Float | Choice) else value
                for name, value in self.overrides.items()
            }
        }

    def _check(self) -> None:
        """Fail on illegal values now, at every corner of the space, not in mid-search."""
        dimensions = self.dimensions(_CHECK_SIDE)
        for corner in itertools.product(*map(ends, dimensions.values())):
            try:
                self.schedule(dict(zip(dimensions, corner, strict=True)))
            except ValueError as error:
                raise ValueError(f"family {self.family}: {error}") from None


def parameter_types(names: Iterable[str]) -> dict[str, pa.DataType]:
    """Return the union of the named families' parameters with their Arrow types."""
    types: dict[str, pa.DataType] = {}
    for name in names:
        for parameter in dataclasses.fields(lookup(name)):
            number = parameter.type in (float, "float")
            types[parameter.name] = pa.float64() if number else pa.string()
    return types


def _override(family: str, name: str, value: object) -> Override:
    allowed = {parameter.name for parameter in dataclasses.fields(lookup(family))}
    if name not in allowed:
        raise ValueError(
            f"family {family} has no parameter {name!r}; allowed: {', '.join(sorted(allowed))}"
        )
    declared = lookup(family).search_space(_CHECK_SIDE).get(name)
    try:
        found = dimension(value, log=isinstance(declared, Float) and declared.log)
    except ValueError as error:
        raise ValueError(f"family {family}, parameter {name}: {error}") from None
    if isinstance(found, Int):
        raise ValueError(f"family {family}, parameter {name}: a schedule's numbers are not whole")
    if found is not None:
        return found
    if isinstance(value, str) or is_number(value):
        return value  # type: ignore[return-value]
    raise ValueError(
        f"family {family}, parameter {name}: {value!r} is no number, no range [low, high] and no "
        "list of names"
    )


def _same_curve(one: Schedule, other: Schedule) -> bool:
    grid = [k / 16 for k in range(17)]
    return all(math.isclose(one.level(p), other.level(p), abs_tol=1e-9) for p in grid)
