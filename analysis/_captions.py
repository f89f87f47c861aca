"""What the page says of a trial beside its samples and under the pointer."""

import math
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from ._palette import family_color
from ._schedules import schedule_text
from .results import Results


class Caption(NamedTuple):
    """A trial in words.

    Attributes:
        schedule: Its schedule as short text.
        color: Colour of its family.
        model: Name of the model.
        configuration: Number of the configuration.
        seed: Its seed.
        fid: Its last FID; empty without one.
        note: Why that FID may not be ranked; empty for one that may.
        state: Its status, how far it came, and whether it belongs to a confirmation.
    """

    schedule: str
    color: str
    model: str
    configuration: int
    seed: int
    fid: str
    note: str
    state: str


def captions(results: Results) -> dict[int, Caption]:
    """Describe all trials of a search, by number, those of the confirmation too."""
    reports = results.reports.sort_values(["trial", "step"])
    last = {row["trial"]: row for row in _records(reports.drop_duplicates("trial", keep="last"))}
    rows = {row["trial"]: row for row in _records(results.trials)}
    # a report is written before the row of its trial may be there
    known = {**last, **rows}
    return {int(trial): _caption(known[trial], last.get(trial)) for trial in sorted(known)}


def _records(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return frame.to_dict("records")


def _caption(row: Mapping[Hashable, Any], last: Mapping[Hashable, Any] | None) -> Caption:
    fid, note = "", ""
    if last is not None and math.isfinite(last["fid"]):
        fid = f"{last['fid']:.4g}"
        note = "" if last["comparable"] else f"at step {last['step']:,}, not comparable"
    return Caption(
        schedule_text(row),
        family_color(str(row["family"])),
        str(row["model"]),
        int(row["configuration"]),
        int(row["seed"]),
        fid,
        note,
        _state(row),
    )


def _state(row: Mapping[Hashable, Any]) -> str:
    status = str(row.get("status", "running"))
    if status != "completed" and "steps" in row:
        status = f"{status}, step {row['step']:,} of {row['steps']:,}"
    return f"{status}, run of a confirmation" if row["stage"] == "confirm" else status
