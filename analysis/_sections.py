"""The report's section on one model."""

import math
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from mollitune._errors import MollituneError

from ._figures import fid_figure, level_figure
from ._html import Cell, Safe, card, chip, details, image, join, pairs, plot, table
from ._report_data import failures, fid_curves, level_curves, stopping_summary
from .best import Best, best
from .leaderboard import leaderboard
from .results import Results

_SHOWN = 15


class Summary(NamedTuple):
    """The result for one model.

    Attributes:
        model: Name of the model.
        sentence: The result in one sentence.
        best: The best trial; None when there is none.
    """

    model: str
    sentence: str
    best: Best | None


def summarize(results: Results, model: str) -> Summary:
    """Find the best trial of a model, or say why there is none."""
    try:
        found = best(results, model)
    except MollituneError as error:
        return Summary(model, f"On {model}: {error}.", None)
    return Summary(model, found.sentence, found)


def model_section(results: Results, summary: Summary, number: int) -> Safe:
    """Everything about one model: samples, numbers, figures, ranking, stopping, failures.

    Args:
        results: Results of the search.
        summary: Result for the model.
        number: Number of the section, for ids.
    """
    model, winner = summary.model, summary.best
    board = leaderboard(results, model)
    curves = Safe(
        f'<div class="two">{_level_card(results, model, winner, number)}'
        f"{_stopping_card(results, model)}</div>"
    )
    content = join(
        [
            _samples(results, board, winner),
            _facts(results, model, board),
            _fid_card(results, model, winner, number),
            curves,
            _board_card(board),
            _failures_card(results, model),
        ]
    )
    return Safe(f'<section id="model-{number}"><h2>{join([model])}</h2>{content}</section>')


def _samples(results: Results, board: pd.DataFrame, winner: Best | None) -> Safe:
    pictures = [_picture(results, "samples/real.png", "Real images", "", "")]
    vanilla = board[board["family"] == "vanilla"]
    if not vanilla.empty:
        first = vanilla.iloc[0]
        pictures.append(
            _picture(results, _png(int(first["trial"])), "Vanilla", "", f"FID {first['fid']:.4g}")
        )
    if winner is not None and not winner.is_vanilla:
        fid = f"FID {winner.fid:.4g}"
        pictures.append(_picture(results, _png(winner.trial), "Best", winner.text, fid))
    shown = join(picture for picture in pictures if picture)
    return Safe(f'<div class="card grids">{shown}</div>') if shown else Safe("")


def _png(trial: int) -> str:
    return f"samples/{trial:04d}.png"


def _picture(results: Results, name: str, title: str, schedule: str, fid: str) -> Safe:
    png = results.read_file(name)
    if png is None:
        return Safe("")
    kind = "winner" if title == "Best" else ""
    value = f'<span class="fid">{join([fid])}</span>' if fid else ""
    return Safe(
        f'<figure class="{kind}"><figcaption><b>{title}</b>{value}</figcaption>'
        f"{image(png, title)}<p>{join([schedule])}</p></figure>"
    )


def _facts(results: Results, model: str, board: pd.DataFrame) -> Safe:
    stopping = stopping_summary(results, model)
    small = Safe(f"{len(board)} <small>of {stopping.trials} trials</small>")
    facts: dict[str, str] = {"finished": small, "stopped early": str(stopping.stopped)}
    if stopping.stopped:
        facts["training steps saved"] = f"{stopping.saved:.0%}"
    if not board.empty and board["difference"].notna().any():
        first = board.iloc[0]
        facts["best against vanilla"] = f"{_signed(first['difference'] / first['vanilla_fid'])}"
        better = int((board["difference"] < 0).sum())
        facts["better than vanilla"] = Safe(
            f"{better} <small>of {int((board['family'] != 'vanilla').sum())}</small>"
        )
    return pairs(facts, "facts")


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %".replace("-", "\N{MINUS SIGN}")


def _fid_card(results: Results, model: str, winner: Best | None, number: int) -> Safe:
    curves = fid_curves(results, model)
    if not curves:
        return card("FID during training", "No evaluation with a finite FID yet.")
    figure = fid_figure(curves, winner.trial if winner else None)
    note = (
        "Always against clean images. While the training data is still mollified (dotted), FID "
        "measures the leftover noise rather than the model: only the dots at full budget count."
    )
    label = f"FID against training step for {len(curves)} trials of {model}"
    return card("FID during training", note, plot(f"fid-{number}", figure, label))


def _level_card(results: Results, model: str, winner: Best | None, number: int) -> Safe:
    curves = level_curves(results, model)
    if not curves:
        return card("Schedules", "No schedule that can be drawn.")
    figure = level_figure(curves, winner.trial if winner else None)
    bold = f" Bold: {winner.text}." if winner and not winner.is_vanilla else ""
    label = f"Level of mollification over training for {len(curves)} schedules of {model}"
    note = f"How fast each one removes the mollification.{bold}"
    return card("Schedules", note, plot(f"level-{number}", figure, label))


def _stopping_card(results: Results, model: str) -> Safe:
    rungs = stopping_summary(results, model).rungs
    if rungs.empty:
        return card("Early stopping", "No decision was made.")
    names = ("training", "judged", "kept", "stopped", "skipped", "cutoff")
    rows = [
        (
            "",
            [
                Cell(f"{row['progress']:.0%}", number=True),
                *(Cell(str(row[k]), number=True) for k in ("judged", "continue", "stop", "skip")),
                Cell(_number(row["cutoff"]), number=True),
            ],
        )
        for row in rungs.to_dict("records")
    ]
    note = (
        "Decisions at each share of training, with the last cutoff. Skipped: the value was not "
        "fit to decide on."
    )
    head = [Cell(name, number=True) for name in names]
    return card("Early stopping", note, table("Early-stopping decisions", head, rows))


def _board_card(board: pd.DataFrame) -> Safe:
    if board.empty:
        return card("Leaderboard", "No trial has a comparable FID yet.")
    note = (
        "Trials at full budget on clean data, measured alike. One seed each: small differences "
        "mean nothing before they are confirmed."
    )
    rest: list[str] = []
    largest = float(board["difference"].abs().max())
    if len(board) > _SHOWN:
        more = _board_table(board.iloc[_SHOWN:], largest, "Rest of the leaderboard")
        rest = [details(f"{len(board) - _SHOWN} more", more)]
    first = _board_table(board.iloc[:_SHOWN], largest, "Leaderboard")
    return card("Leaderboard", note, first, *rest)


def _board_table(board: pd.DataFrame, largest: float, label: str) -> Safe:
    head = [
        Cell("", number=True),
        Cell("schedule"),
        Cell("FID", number=True),
        Cell("against vanilla", number=True),
        Cell("bits per dim", number=True),
        Cell("trial", number=True),
    ]
    rows = []
    for row in board.to_dict("records"):
        name = Safe(f"{chip(row['family'])}{join([row['schedule']])}")
        cells = [
            Cell(str(row["rank"]), number=True),
            Cell(name, kind="schedule"),
            Cell(f"{row['fid']:.2f}", number=True),
            _difference(row, largest),
            Cell(_number(row["bpd"]), number=True),
            Cell(str(row["trial"]), number=True),
        ]
        kinds = {"reference": row["family"] == "vanilla", "first": row["rank"] == 1}
        rows.append((" ".join(kind for kind, given in kinds.items() if given), cells))
    return table(label, head, rows)


def _difference(row: Mapping[Hashable, Any], largest: float) -> Cell:
    """The difference to vanilla with a bar, whose full length is the largest difference."""
    difference = row["difference"]
    if math.isnan(difference) or row["family"] == "vanilla":
        return Cell("reference" if row["family"] == "vanilla" else "", number=True)
    kind = "better" if difference < 0 else "worse"
    value = f"{difference:+.2f}".replace("-", "\N{MINUS SIGN}")
    bar = f'<span class="bar" style="width:{100 * abs(difference) / (largest or 1):.1f}%"></span>'
    label = f"{value} ({_signed(difference / row['vanilla_fid'])}){bar}"
    return Cell(Safe(label), number=True, kind=kind)


def _failures_card(results: Results, model: str) -> Safe:
    rows = failures(results, model)
    if rows.empty:
        return card("Failures", "None: no trial failed, no loss or sample was not finite.")
    head = [
        Cell("trial", number=True),
        Cell("schedule"),
        Cell("status"),
        Cell("step", number=True),
        Cell("not finite", number=True),
        Cell("error"),
    ]
    body = [
        (
            "",
            [
                Cell(str(row["trial"]), number=True),
                Cell(row["text"], kind="wide"),
                Cell(row["status"]),
                Cell(f"{row['step']:,} of {row['steps']:,}", number=True),
                Cell(str(row["non_finite"]), number=True),
                Cell("" if pd.isna(row["error"]) else str(row["error"])),
            ],
        )
        for row in rows.to_dict("records")
    ]
    note = "Failed and interrupted trials, and trials with non-finite losses or samples."
    return card("Failures", note, table("Failures", head, body))


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.4g}"
