"""The report's leaderboard."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from mollitune.analysis.report.html import (
    Cell,
    card,
    chip,
    details,
    join,
    small,
    table,
    trial_button,
)
from mollitune.analysis.words import MINUS, number, signed_share

_SHOWN = 15


def board_card(board: pd.DataFrame) -> Markup:
    """The ranking of the configurations of one model.

    Args:
        board: Their rows of `leaderboard`.
    """
    if board.empty:
        return card("Leaderboard", "No trial has a comparable FID yet.")
    note = (
        "Configurations by the FID to expect on a fresh seed, with 90 % intervals: what their "
        "runs measured, shrunk towards schedules of like shape once there are enough. Full "
        "budget, clean data, measured alike. Overlapping intervals mean nothing before they are "
        "confirmed."
    )
    rest: list[str] = []
    largest = float(board["difference"].abs().max())
    if len(board) > _SHOWN:
        more = _board_table(board.iloc[_SHOWN:], largest, "Rest of the leaderboard")
        rest = [details(f"{len(board) - _SHOWN} more", more)]
    first = _board_table(board.iloc[:_SHOWN], largest, "Leaderboard")
    box = Markup('<div class="board">{}</div>')
    return box.format(card("Leaderboard", note, first, *rest))


def _board_table(board: pd.DataFrame, largest: float, label: str) -> Markup:
    head = [
        Cell("", number=True),
        Cell("schedule"),
        Cell("expected FID", number=True),
        Cell("against vanilla", number=True),
        Cell("runs", number=True),
        Cell("mean", number=True),
        Cell("lowest", number=True),
        Cell("bits per dim", number=True),
        Cell("samples", kind="trials"),
    ]
    rows = []
    for row in board.to_dict("records"):
        cells = [
            Cell(str(row["rank"]), number=True),
            Cell(chip(row["family"]) + row["schedule"], kind="schedule"),
            _expected(row),
            _difference(row, largest),
            Cell(str(row["runs"]), number=True),
            _mean(row),
            Cell(f"{row['fid_lowest']:.2f}", number=True),
            Cell(number(row["bpd_mean"]), number=True),
            Cell(join(map(trial_button, map(int, row["trials"].split(", ")))), kind="trials"),
        ]
        kinds = {"reference": row["family"] == "vanilla", "first": row["rank"] == 1}
        rows.append((" ".join(kind for kind, given in kinds.items() if given), cells))
    return table(label, head, rows)


def _expected(row: Mapping[Hashable, Any]) -> Cell:
    value = f"{row['fid_expected']:.2f}"
    if math.isnan(row["fid_low"]):
        return Cell(value, number=True)
    interval = f"{row['fid_low']:.2f} to {row['fid_high']:.2f}"
    return Cell(small(value, interval), number=True)


def _mean(row: Mapping[Hashable, Any]) -> Cell:
    value = f"{row['fid_mean']:.2f}"
    if math.isnan(row["fid_sd"]):
        return Cell(value, number=True)
    return Cell(small(value, f"sd {row['fid_sd']:.2f}"), number=True)


def _difference(row: Mapping[Hashable, Any], largest: float) -> Cell:
    """The difference to vanilla with a bar, whose full length is the largest difference."""
    difference = row["difference"]
    if math.isnan(difference) or row["family"] == "vanilla":
        return Cell("reference" if row["family"] == "vanilla" else "", number=True)
    kind = "better" if difference < 0 else "worse"
    value = f"{difference:+.2f}".replace("-", MINUS)
    share = signed_share(difference / row["vanilla_expected"])
    label = Markup('{} ({})<span class="bar" style="width:{:.1f}%"></span>')
    width = 100 * abs(difference) / (largest or 1)
    return Cell(label.format(value, share, width), number=True, kind=kind)
