"""Configurations back from the rows of the result tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mollitune.schedules import Schedule, lookup
from mollitune.search.policy import (
    NOTHING,
    Configuration,
    Hyperspace,
    dimension,
    settings_of,
    settings_text,
)
from mollitune.search.store import PARAMS_PREFIX

if TYPE_CHECKING:
    from .results import Results


def parameters(row: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters of a row of ``reports`` or ``trials``: those of the schedule, and the rest.

    The rest are hyperparameters. Of a family that is not registered here all are taken for the
    schedule's.
    """
    given = {
        column.removeprefix(PARAMS_PREFIX): value
        for column, value in row.items()
        if column.startswith(PARAMS_PREFIX) and _is_given(value)
    }
    return _parted(row["family"], given)


def hyperspace_of(results: Results, model: str) -> Hyperspace:
    """Return the hyperparameters that a search has searched for a model.

    Raises:
        ValueError: If a dimension in its description is not legal.
    """
    # descriptions have every dimension spelled out, and nothing else that is a mapping
    told = training_of(results.metadata.get("config"), model)
    spelled = {name: value for name, value in told.items() if isinstance(value, dict)}
    found = ((name, dimension(value)) for name, value in sorted(spelled.items()))
    return Hyperspace({name: known for name, known in found if known is not None})


def training_of(config: object, model: str) -> dict[str, Any]:
    """Return how a config trains a model, by the names of hyperparameters; empty if it does not.

    Args:
        config: As ``search.json`` has it.
        model: Name of the model.
    """
    entries = config.get("model") if isinstance(config, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == model:
            own = {name: value for name, value in entry.items() if name != "hparams"}
            hparams = entry.get("hparams")
            inner = hparams.items() if isinstance(hparams, dict) else ()
            return own | {f"hparams.{name}": value for name, value in inner}
    return {}


def configuration_of(row: Mapping[Any, Any], space: Hyperspace = NOTHING) -> Configuration:
    """Construct the configuration of a row.

    Args:
        row: A row of ``reports`` or ``trials``.
        space: The hyperparameters that were searched for its model, see `hyperspace_of`.

    Raises:
        ValueError: If the schedule's family is not registered here or does not take its
            parameters, or a hyperparameter lies outside of the space.
    """
    params, settings = parameters(row)
    return Configuration(_schedule(row["family"], params), space.read(settings), row["scale"])


def _is_given(value: Any) -> bool:
    # pandas' own test takes most of the time of a large leaderboard
    if isinstance(value, str):
        return True
    return value == value if isinstance(value, float) else not pd.isna(value)


def schedule_of(row: Mapping[Any, Any]) -> Schedule:
    """Construct the schedule of a row.

    Raises:
        ValueError: If its family is not registered here or does not take its parameters.
    """
    return _schedule(row["family"], parameters(row)[0])


def configuration_text(row: Mapping[Any, Any]) -> str:
    """The configuration of a row as short text: ``sigmoid(tau=0.5, until=0.6) with lr=0.003``.

    A family that is not registered here is shown with all of its parameters.
    """
    return _text(row["family"], *parameters(row))


def configurations_of(
    rows: pd.DataFrame, space: Hyperspace = NOTHING
) -> tuple[list[Configuration | None], list[str]]:
    """Return `configuration_of` and `configuration_text` of many rows; None for what has none.

    It takes a fifth of the time: most cells of a row are the parameters of other families.
    """
    params: list[dict[str, Any]] = [{} for _ in range(len(rows))]
    for column in rows.columns:
        if column.startswith(PARAMS_PREFIX):
            name, values = column.removeprefix(PARAMS_PREFIX), rows[column].tolist()
            for i in np.flatnonzero(rows[column].notna()).tolist():
                params[i][name] = values[i]
    found: list[Configuration | None] = []
    texts: list[str] = []
    columns = rows["family"].tolist(), rows["scale"].tolist(), params
    for family, scale, given in zip(*columns, strict=True):
        own, settings = _parted(family, given)
        texts.append(_text(family, own, settings))
        try:
            found.append(Configuration(_schedule(family, own), space.read(settings), scale))
        except ValueError:
            found.append(None)
    return found, texts


class Told(NamedTuple):
    """What complete runs of one model tell, by configuration in the order of their numbers.

    Attributes:
        configurations: The configurations, n of them; None for what cannot be built here.
        texts: Each as short text.
        values: For each what its runs measured, in the order of the trials.
        seeds: For each the seeds of these runs.
    """

    configurations: list[Configuration | None]
    texts: list[str]
    values: list[list[float]]
    seeds: list[list[int]]


def told(rows: pd.DataFrame, space: Hyperspace = NOTHING) -> Told:
    """Group final evaluations of one model by configuration.

    Args:
        rows: Rows of ``reports``, one per run, in which ``fid`` is what is minimised.
        space: The hyperparameters that were searched for the model.
    """
    runs = rows.sort_values(["configuration", "trial"])
    bounds = [0, *runs.groupby("configuration", sort=True).size().cumsum()]
    values, seeds = (
        [runs[column].tolist()[begin:end] for begin, end in pairwise(bounds)]
        for column in ("fid", "seed")
    )
    return Told(*configurations_of(runs.drop_duplicates("configuration"), space), values, seeds)


def _parted(family: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        names = _fields(family)
    except ValueError:
        return given, {}
    return (
        {name: value for name, value in given.items() if name in names},
        {name: value for name, value in given.items() if name not in names},
    )


@lru_cache(maxsize=64)
def _fields(family: str) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(lookup(family)))


def _schedule(family: str, params: Mapping[str, Any]) -> Schedule:
    return Schedule.from_dict({"family": family, "params": params})


def _text(family: str, params: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    try:
        text = str(_schedule(family, params))
    except ValueError:
        shown = sorted(params.items())
        listed = ", ".join(
            f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in shown
        )
        text = f"{family}({listed})"
    return text + settings_text(settings_of(settings))
