"""Schedules back from the rows of the result tables."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mollitune.schedules import Schedule
from mollitune.search.schema import PARAMS_PREFIX


def schedule_params(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The schedule parameters of a row of ``reports`` or ``trials``, by name."""
    return {
        str(column).removeprefix(PARAMS_PREFIX): value
        for column, value in row.items()
        if str(column).startswith(PARAMS_PREFIX) and not pd.isna(value)
    }


def schedule_of(row: Mapping[Any, Any]) -> Schedule:
    """Construct the schedule of a row.

    Raises:
        ValueError: If its family is not registered here or does not take its parameters.
    """
    return Schedule.from_dict({"family": row["family"], "params": schedule_params(row)})


def schedule_text(row: Mapping[Any, Any]) -> str:
    """The schedule of a row as short text, such as ``sigmoid(start=0, end=3, until=0.6)``.

    Parameters at their default are left out, except ``until``, which stands last. A family that
    is not registered here is shown with all of its parameters.
    """
    shown = schedule_params(row)
    try:
        fields = dataclasses.fields(schedule_of(row))
    except ValueError:
        order = sorted(shown)
    else:
        order = [field.name for field in fields if field.default != shown[field.name]]
    names = [name for name in order if name != "until"] + [n for n in shown if n == "until"]
    text = ", ".join(f"{name}={_short(shown[name])}" for name in names)
    return f"{row['family']}({text})" if names else str(row["family"])


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
