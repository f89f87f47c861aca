"""The report's section on one model."""

from typing import NamedTuple

import pandas as pd

from mollitune._errors import MollituneError

from ._board import board_card
from ._figures import fid_figure, level_figure
from ._html import Cell, Safe, card, image, join, pairs, plot, table
from ._report_data import failures, fid_curves, level_curves, shape_points, stopping_summary
from ._shape_figure import shape_figure
from ._stopping import audit_card, decisions_card
from ._text import count_of, signed_share
from .best import Best, best, median_run
from .leaderboard import comparable_reports, leaderboard
from .results import Results


class Summary(NamedTuple):
    """The result for one model.

    Attributes:
        model: Name of the model.
        sentence: The result in one sentence.
        details: How sure it is, and the lowest single FID; empty without a result.
        best: The recommendation; None when there is none.
    """

    model: str
    sentence: str
    details: str
    best: Best | None


def summarize(results: Results, model: str) -> Summary:
    """Find what to recommend for a model, or say why there is nothing."""
    try:
        found = best(results, model)
    except MollituneError as error:
        return Summary(model, f"On {model}: {error}.", "", None)
    return Summary(model, found.headline, found.details, found)


def model_section(results: Results, summary: Summary, number: int) -> Safe:
    """Everything about one model: samples, numbers, figures, ranking, stopping, failures.

    Args:
        results: Results of the search.
        summary: Result for the model.
        number: Number of the section, for ids.
    """
    model, winner = summary.model, summary.best
    board = leaderboard(results, model)
    shapes = _two(
        _shape_card(results, model, winner, number), _level_card(results, model, winner, number)
    )
    stopping = _two(decisions_card(results, model), audit_card(results, model))
    content = join(
        [
            _samples(results, model, winner),
            _facts(results, model, board),
            _fid_card(results, model, winner, number),
            shapes,
            board_card(board),
            stopping,
            _failures_card(results, model),
        ]
    )
    return Safe(f'<section id="model-{number}"><h2>{join([model])}</h2>{content}</section>')


def _two(left: Safe, right: Safe) -> Safe:
    return Safe(f'<div class="two">{left}{right}</div>')


def _samples(results: Results, model: str, winner: Best | None) -> Safe:
    runs = comparable_reports(results, model)
    pictures = [_picture(results, "samples/real.png", "Real images", "", "")]
    vanilla = runs[runs["family"] == "vanilla"]
    if not vanilla.empty:
        shown = median_run(vanilla)
        fid = f"FID {shown['fid']:.4g}"
        pictures.append(_picture(results, _png(int(shown["trial"])), "Vanilla", "", fid))
    if winner is not None and not winner.is_vanilla:
        fid = f"FID {winner.trial_fid:.4g}"
        text = f"{winner.text}, trial {winner.trial}"
        pictures.append(_picture(results, _png(winner.trial), "Recommended", text, fid))
    shown_pictures = join(picture for picture in pictures if picture)
    if not shown_pictures:
        return Safe("")
    return Safe(f'<div class="card grids">{shown_pictures}</div>')


def _png(trial: int) -> str:
    return f"samples/{trial:04d}.png"


def _picture(results: Results, name: str, title: str, schedule: str, fid: str) -> Safe:
    png = results.read_file(name)
    if png is None:
        return Safe("")
    kind = "winner" if title == "Recommended" else ""
    value = f'<span class="fid">{join([fid])}</span>' if fid else ""
    return Safe(
        f'<figure class="{kind}"><figcaption><b>{title}</b>{value}</figcaption>'
        f"{image(png, title)}<p>{join([schedule])}</p></figure>"
    )


def _facts(results: Results, model: str, board: pd.DataFrame) -> Safe:
    stopping = stopping_summary(results, model)
    runs = int(board["runs"].sum())
    facts: dict[str, str] = {
        "finished": Safe(f"{runs} <small>of {count_of(stopping.trials, 'run')}</small>"),
        "configurations": str(len(board)),
        "stopped early": str(stopping.stopped),
    }
    if stopping.stopped:
        facts["training steps saved"] = f"{stopping.saved:.0%}"
    if not board.empty and board["difference"].notna().any():
        first = board.iloc[0]
        facts["expected against vanilla"] = signed_share(
            first["difference"] / first["vanilla_expected"]
        )
        better = int((board["difference"] < 0).sum())
        facts["expected to beat vanilla"] = Safe(
            f"{better} <small>of {int((board['family'] != 'vanilla').sum())}</small>"
        )
    return pairs(facts, "facts")


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


def _shape_card(results: Results, model: str, winner: Best | None, number: int) -> Safe:
    title = "FID against shape"
    points = shape_points(results, model)
    if not points:
        return card(title, "No FIDs that can be ranked.")
    figure = shape_figure(points, winner.configuration if winner else None)
    note = (
        "A dot per run, and a diamond for what to expect of the configuration on a fresh seed. "
        "The lowest dot is mostly luck; the lowest diamond is recommended."
    )
    label = f"FID against the mean level of {len(points)} configurations of {model}"
    return card(title, note, plot(f"shape-{number}", figure, label))


def _level_card(results: Results, model: str, winner: Best | None, number: int) -> Safe:
    curves = level_curves(results, model)
    if not curves:
        return card("Schedules", "No schedule that can be drawn.")
    figure = level_figure(curves, winner.configuration if winner else None)
    bold = f" Bold: {winner.text}." if winner and not winner.is_vanilla else ""
    label = f"Level of mollification over training for {len(curves)} schedules of {model}"
    note = f"How fast each one removes the mollification.{bold}"
    return card("Schedules", note, plot(f"level-{number}", figure, label))


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
