"""Schedules back from the rows of the result tables."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mollitune.schedules import Schedule
from mollitune.search.schema import PARAMS_PREFIX


def schedule_params(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The schedule parameters of a row of ``reports`` or ``trials``, by name."""
    return {
        column.removeprefix(PARAMS_PREFIX): value
        for column, value in row.items()
        if column.startswith(PARAMS_PREFIX) and _is_given(value)
    }


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
    return Schedule.from_dict({"family": row["family"], "params": schedule_params(row)})


def schedule_text(row: Mapping[Any, Any]) -> str:
    """The schedule of a row as short text, such as ``sigmoid(tau=0.5, until=0.6)``.

    A family that is not registered here is shown with all of its parameters.
    """
    try:
        return str(schedule_of(row))
    except ValueError:
        shown = sorted(schedule_params(row).items())
        text = ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in shown)
        return f"{row['family']}({text})"
