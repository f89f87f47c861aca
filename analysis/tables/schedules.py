"""Schedules back from the rows of the result tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mollitune.schedules import Schedule
from mollitune.search.store import PARAMS_PREFIX


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
    return _schedule(row["family"], schedule_params(row))


def schedule_text(row: Mapping[Any, Any]) -> str:
    """The schedule of a row as short text, such as ``sigmoid(tau=0.5, until=0.6)``.

    A family that is not registered here is shown with all of its parameters.
    """
    try:
        return str(schedule_of(row))
    except ValueError:
        return _stranger(row["family"], schedule_params(row))


def schedules_of(rows: pd.DataFrame) -> tuple[list[Schedule | None], list[str]]:
    """Return `schedule_of` and `schedule_text` of many rows; None where there is no schedule.

    It takes a fifth of the time: most cells of a row are the parameters of other families.
    """
    params: list[dict[str, Any]] = [{} for _ in range(len(rows))]
    for column in rows.columns:
        if column.startswith(PARAMS_PREFIX):
            name, values = column.removeprefix(PARAMS_PREFIX), rows[column].tolist()
            for i in np.flatnonzero(rows[column].notna()).tolist():
                params[i][name] = values[i]
    schedules: list[Schedule | None] = []
    texts: list[str] = []
    for family, own in zip(rows["family"].tolist(), params, strict=True):
        try:
            schedule = _schedule(family, own)
        except ValueError:
            schedules.append(None)
            texts.append(_stranger(family, own))
        else:
            schedules.append(schedule)
            texts.append(str(schedule))
    return schedules, texts


def _schedule(family: str, params: Mapping[str, Any]) -> Schedule:
    return Schedule.from_dict({"family": family, "params": params})


def _stranger(family: str, params: Mapping[str, Any]) -> str:
    shown = sorted(params.items())
    text = ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in shown)
    return f"{family}({text})"
