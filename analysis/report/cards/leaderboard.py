"""The report's leaderboard."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from mollitune.analysis.ranking.leaderboard import named
from mollitune.analysis.report.html import (
    Cell,
    card,
    chip,
    details,
    download,
    join,
    small,
    sorter,
    table,
    trial_button,
)
from mollitune.analysis.words import fid_text, interval_text, number, signed_share
from mollitune.search.store import Objective

_SHOWN = 15


def board_card(board: pd.DataFrame, objective: Objective) -> Markup:
    """The ranking of the configurations of one model.

    Args:
        board: Their rows of `ranked`.
        objective: What the search minimises.
    """
    metric = objective.title
    if board.empty:
        return card("Leaderboard", f"No trial has a comparable {metric} yet.")
    note = (
        f"Schedules ranked by the {metric} to expect on a new seed, with 90 % intervals: the mean "
        "of their runs, pulled towards schedules of similar shape once there are enough. Only "
        "runs at full budget on clean data count, all against validation data. A rank proves "
        "nothing until it is confirmed on fresh seeds. Click a heading to sort."
    )
    rest: list[str] = []
    largest = float(board["difference"].abs().max())
    if len(board) > _SHOWN:
        more = _board_table(board.iloc[_SHOWN:], largest, "Rest of the leaderboard", metric)
        rest = [details(f"{len(board) - _SHOWN} more", more)]
    first = _board_table(board.iloc[:_SHOWN], largest, "Leaderboard", metric)
    file = f"leaderboard-{board['model'].iloc[0]}.csv"
    link = download(named(board, objective).to_csv(index=False), file, "Download as CSV")
    return Markup('<div class="board">{}</div>').format(
        card("Leaderboard", note, first, *rest, link)
    )


def _board_table(board: pd.DataFrame, largest: float, label: str, metric: str) -> Markup:
    head = [
        Cell(sorter("rank"), number=True),
        Cell(sorter("schedule")),
        Cell(sorter(f"expected {metric}"), number=True),
        Cell(sorter("difference from vanilla"), number=True),
        Cell(sorter("runs"), number=True),
        Cell(sorter("mean"), number=True),
        Cell(sorter("lowest"), number=True),
        Cell(sorter("bits per dim"), number=True),
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
            Cell(fid_text(row["fid_lowest"]), number=True),
            Cell(number(row["bpd_mean"]), number=True),
            Cell(join(map(trial_button, map(int, row["trials"].split(", ")))), kind="trials"),
        ]
        kinds = {"reference": row["family"] == "vanilla", "first": row["rank"] == 1}
        rows.append((" ".join(kind for kind, given in kinds.items() if given), cells))
    return table(label, head, rows)


def _expected(row: Mapping[Hashable, Any]) -> Cell:
    value = fid_text(row["fid_expected"])
    if math.isnan(row["fid_low"]):
        return Cell(value, number=True)
    return Cell(small(value, interval_text(row["fid_low"], row["fid_high"])), number=True)


def _mean(row: Mapping[Hashable, Any]) -> Cell:
    value = fid_text(row["fid_mean"])
    if math.isnan(row["fid_sd"]):
        return Cell(value, number=True)
    return Cell(small(value, f"sd {fid_text(row['fid_sd'])}"), number=True)


def _difference(row: Mapping[Hashable, Any], largest: float) -> Cell:
    """The difference from vanilla with a bar, whose full length is the largest difference."""
    difference = row["difference"]
    if math.isnan(difference) or row["family"] == "vanilla":
        return Cell("reference" if row["family"] == "vanilla" else "", number=True)
    kind = "better" if difference < 0 else "worse"
    value = fid_text(difference, signed=True)
    share = signed_share(difference / row["vanilla_expected"])
    label = Markup('{} ({})<span class="bar" style="width:{:.1f}%"></span>')
    width = 100 * abs(difference) / (largest or 1)
    return Cell(label.format(value, share, width), number=True, kind=kind)
