"""The panel that shows the samples of one trial large, and the data behind it."""

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from mollitune.analysis.report.assets import asset
from mollitune.analysis.report.figures.palette import family_color
from mollitune.analysis.report.html import data_url, join, script_json
from mollitune.analysis.report.pictures import Picture, file_of
from mollitune.analysis.tables.configurations import configuration_text
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import fid_text, run_name


class Caption(NamedTuple):
    """A trial in words.

    Attributes:
        name: What it is called, see `run_name`.
        schedule: Its schedule as short text.
        color: Colour of its family.
        model: Name of the model.
        configuration: Number of the configuration.
        seed: Its seed.
        fid: Its last FID; empty without one.
        note: Which images that FID compares with, or why it may not be ranked.
        state: Its status, how far it came, and whether it belongs to a confirmation.
    """

    name: str
    schedule: str
    color: str
    model: str
    configuration: int
    seed: int
    fid: str
    note: str
    state: str


def panel(
    captions: Mapping[int, Caption],
    orders: Sequence[Sequence[int]],
    pictures: Mapping[int, Picture],
    missing: Mapping[int, str],
) -> Markup:
    """The panel, closed, with what it may show.

    Args:
        captions: Every trial in words, by number.
        orders: Numbers of the trials of each model, in the order of browsing.
        pictures: The pictures by trial.
        missing: Why other pictures are not in the page, by trial.
    """
    words = {
        "trials": {number: caption._asdict() for number, caption in captions.items()},
        "orders": [list(order) for order in orders],
        "missing": {number: f"{why} {_place(number)}" for number, why in missing.items()},
    }
    shown = {
        number: {
            "url": data_url(picture.data, f"image/{picture.kind}"),
            "note": picture.note and f"{picture.note} {_place(number)}",
        }
        for number, picture in pictures.items()
    }
    # apart from the words: they are read when the first picture is asked for
    documents = (
        script_json("trials", json.dumps(words)),
        script_json("pictures", json.dumps(shown)),
    )
    return join([asset("panel.html"), *documents])


def _place(number: int) -> str:
    return f"The file is {file_of(number)}."


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
        fid = fid_text(last["fid"])
        note = f"against {last['fid_reference']} data"
        if not last["comparable"]:
            note = f"at step {last['step']:,}, not comparable"
    return Caption(
        run_name(int(row["trial"])),
        configuration_text(row),
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
    if row["scale"] != 1:
        status = f"{status}, {row['scale']:g} times the search's length"
    return f"{status}, run of a confirmation" if row["stage"] == "confirm" else status
