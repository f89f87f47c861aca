"""The runs of earlier searches, as the surrogate of a new one takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mollitune._errors import MollituneError
from mollitune.schedules import Choice
from mollitune.search.policy import (
    NOTHING,
    Configuration,
    Earlier,
    Hyperspace,
    coordinates,
    nearest,
    settings_of,
    worth_modelling,
)
from mollitune.search.store import COMPARABLE_WITHIN, Objective

from .comparable import comparable_reports
from .configurations import hyperspace_of, told, training_of
from .results import Results

MOST = 120
"""Runs of earlier searches that are taken, of all of them: time grows with their third power."""
_LEAST = 8
_NEAR = 0.25
"""How far from the value of a hyperparameter, as a share of the range that was searched."""


@dataclass(frozen=True)
class Wanted:
    """One model of a new search.

    Arguments:
        model: Its name.
        training: Its hyperparameters that are fixed, by name.
        space: Those that are searched.
        images: Training images of the search's own length.
        budgets: Whether the search has several.
        objective: What it minimises.
    """

    model: str
    training: Mapping[str, Any]
    space: Hyperspace = NOTHING
    images: float = 1.0
    budgets: bool = False
    objective: Objective = field(default_factory=Objective)


def earlier_runs(searches: Sequence[Results], wanted: Wanted) -> tuple[Earlier, ...]:
    """Return what earlier searches have shown, for one model of a new one.

    Of each search those runs count that are of the model itself, or of every model if it had other
    ones; that were trained to the end and measured alike; and where the new search has one budget,
    those of the budget nearest to that. A hyperparameter that only the new search varies has the
    value that it had; where only an earlier one varied it, what is far from the value that is
    fixed now is left out.

    Args:
        searches: The earlier searches.
        wanted: What is searched now.

    Raises:
        MollituneError: If one of the searches has nothing to tell.
    """
    found: list[Earlier] = []
    for results in searches:
        names = results.tables["reports"]["model"].unique().to_pylist()
        own = [wanted.model] if wanted.model in names else sorted(map(str, names))
        those = [one for name in own for one in _earlier(results, name, wanted)]
        if not those:
            raise MollituneError(
                f"prior: {results.name!r} has no complete run that says anything of the "
                f"{wanted.objective.title} of {wanted.model}; leave it out"
            )
        found += those
    return tuple(_shortened(own, max(_LEAST, MOST // len(found))) for own in found)


def _earlier(results: Results, model: str, wanted: Wanted) -> Iterator[Earlier]:
    if wanted.objective.column not in results.tables["reports"].column_names:
        return
    rows = comparable_reports(results, model, wanted.objective)
    if len(rows) and not wanted.budgets:
        images = max(wanted.images, 1)
        nearest_one = min(
            rows["budget"].unique(), key=lambda own: abs(math.log(max(own, 1) / images))
        )
        rows = rows[rows["budget"] == nearest_one]
    within = [column for column in COMPARABLE_WITHIN if column != "budget"]
    rows = max((own for _, own in rows.groupby(within)), key=len, default=rows)
    if rows.empty:
        return
    found: dict[Configuration, list[tuple[float, int]]] = {}
    known = told(rows, hyperspace_of(results, model))
    budgets = rows.groupby("configuration", sort=True)["budget"].first()
    each = zip(known.configurations, budgets, known.values, known.seeds, strict=True)
    for own, images, values, seeds in each:
        converted = own and _converted(own, images, results, model, wanted)
        if converted is not None:
            found.setdefault(converted, []).extend(zip(values, seeds, strict=True))
    if found:
        yield Earlier(
            *(results.name, model, str(rows["dataset"].iloc[0]), tuple(found)),
            tuple(tuple(value for value, _ in runs) for runs in found.values()),
            tuple(tuple(seed for _, seed in runs) for runs in found.values()),
        )


def _converted(
    own: Configuration, images: float, results: Results, model: str, wanted: Wanted
) -> Configuration | None:
    """Return an earlier configuration as one of the new search; None if it is far away."""
    settings = dict(own.settings)
    if not _near(settings, hyperspace_of(results, model), wanted):
        return None
    known = {**training_of(results.metadata.get("config"), model), **settings}
    now = {name: nearest(d, known.get(name)) for name, d in wanted.space.dimensions.items()}
    scale = images / wanted.images if wanted.budgets else 1.0
    return Configuration(own.schedule, settings_of(now), scale)


def _near(settings: Mapping[str, Any], space: Hyperspace, wanted: Wanted) -> bool:
    """Tell whether hyperparameters that are fixed now were near to that in an earlier run."""
    for name, found in space.dimensions.items():
        if name in wanted.space.dimensions or name not in wanted.training:
            continue
        own, fixed = settings[name], wanted.training[name]
        if isinstance(found, Choice):
            if own != fixed:
                return False
        elif abs(coordinates(found, own)[0] - coordinates(found, fixed)[0]) > _NEAR:
            return False
    return True


def _shortened(earlier: Earlier, most: int) -> Earlier:
    """Return the best and a spread of the rest, up to so many runs."""
    means = np.array([np.mean(own) for own in earlier.values])
    counts = np.array([len(own) for own in earlier.values])
    which = np.flatnonzero(worth_modelling(means, counts, most)).tolist()
    return replace(
        earlier,
        configurations=tuple(earlier.configurations[i] for i in which),
        values=tuple(earlier.values[i] for i in which),
        seeds=tuple(earlier.seeds[i] for i in which),
    )
