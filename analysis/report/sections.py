"""The report's section on one model."""

from markupsafe import Markup

from mollitune.analysis.tables.comparable import comparable_reports
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of, signed_share

from .cards.failures import failed_models, failures_card
from .cards.front import front_card
from .cards.importance import importance_card
from .cards.ladder import ladder_card
from .cards.leaderboard import board_card
from .cards.rising import rising_note
from .cards.samples import gallery
from .cards.settings import settings_card
from .cards.stopping import audit_card, decisions_card
from .cards.verdict import verdict_cards
from .data import fid_curves, level_curves, stopping_summary
from .figures.fid import MANY as MANY_CURVES
from .figures.fid import fid_figure, points_each
from .figures.level import level_figure
from .figures.shape import MANY as MANY_POINTS
from .figures.shape import shape_figure
from .html import card, join, out_of, pairs, plot
from .view import View

_STRONG = 10  # best configurations whose curves stand out among many


def model_section(
    results: Results,
    view: View,
    number: int,
    with_verdict: bool = False,
) -> Markup:
    """Everything about one model: samples, numbers, figures, ranking, stopping, failures.

    Args:
        results: Results of the search.
        view: Result for the model.
        number: Number of the section, for ids.
        with_verdict: Whether the verdict stands here rather than on top of the page.
    """
    shapes = _two(_shape_card(view, number), _level_card(results, view, number))
    stopping = _two(decisions_card(results, view.model), audit_card(results, view.model))
    content = [
        *([verdict_cards(view.verdicts, view.details)] if view.verdicts and with_verdict else []),
        gallery(results, view),
        _facts(results, view),
        ladder_card(results, view, number),
        _fid_card(results, view, number),
        shapes,
        settings_card(results, view, number),
        front_card(results, view, number),
        board_card(view.board, results.objective),
        importance_card(results, view.model),
        stopping,
    ]
    if view.model not in failed_models(results):  # those stand on top of the page
        content.append(failures_card(results, [view.model]))
    section = Markup('<section id="model-{}"><h2>{}</h2>{}</section>')
    return section.format(number, view.model, join(content))


def _two(left: Markup, right: Markup) -> Markup:
    return Markup('<div class="two">{}{}</div>').format(left, right)


def _facts(results: Results, view: View) -> Markup:
    stopping, board = stopping_summary(results, view.model), view.board
    runs = len(comparable_reports(results, view.model))
    facts: dict[str, str] = {
        "finished": out_of(runs, count_of(stopping.trials, "run")) if stopping.trials else "0",
        "configurations": str(len(board)),
        "stopped early": str(stopping.stopped),
    }
    if stopping.stopped:
        facts["training steps saved"] = f"{stopping.saved:.0%}"
    if not board.empty and board["difference"].notna().any():
        first, target = board.iloc[0], view.best.target if view.best is not None else None
        where = f" at {target:,} steps" if target is not None else ""
        facts[f"best against vanilla{where}"] = signed_share(
            first["difference"] / first["vanilla_expected"]
        )
        better = int((board["difference"] < 0).sum())
        others = int((board["family"] != "vanilla").sum())
        if others:
            facts["expected to beat vanilla"] = out_of(better, str(others))
    return pairs(facts, "facts")


def _fid_card(results: Results, view: View, number: int) -> Markup:
    curves, metric = fid_curves(results, view.model), view.metric
    if not curves:
        return card(f"{metric} during training", f"No evaluation with a finite {metric} yet.")
    best = [point.median_trial for point in view.points[:_STRONG]]
    figure = fid_figure(curves, view.trial, best, metric)
    most, longest = points_each(curves), max(len(curve.fids) for curve in curves)
    strong = f" The best {len(best)} stand out." if len(curves) > MANY_CURVES else ""
    thin = f" Of up to {longest:,} evaluations per run, about {most} are drawn."
    note = (
        "Against clean validation data. While the training data are still mollified (dotted), "
        f"{metric} measures the leftover noise rather than the model: only the dots at full "
        "budget count."
        f"{strong}{thin if longest > most else ''} Click a curve to see its samples."
    )
    label = f"{metric} against training step for {len(curves)} trials of {view.model}"
    drawn = plot(f"fid-{number}", figure, label)
    return card(f"{metric} during training", note, rising_note(curves, metric), drawn)


def _shape_card(view: View, number: int) -> Markup:
    title = f"{view.metric} against shape"
    if not view.points:
        return card(title, "No values that can be ranked.")
    figure = shape_figure(view.points, view.configuration, view.metric)
    large = "the lowest diamond is what the search recommends"
    if view.choice is not None:
        large = "the large diamond is what the confirmation chose"
    many = " Intervals are drawn for the ten best." if len(view.points) > MANY_POINTS else ""
    note = (
        f"A dot per run, and a diamond for the {view.metric} to expect of the configuration on a "
        f"new seed. The lowest dot is mostly luck; {large}.{many}"
    )
    drawn = f"{len(view.points)} configurations of {view.model}"
    label = f"{view.metric} against the mean level of {drawn}"
    return card(title, note, plot(f"shape-{number}", figure, label))


def _level_card(results: Results, view: View, number: int) -> Markup:
    curves = level_curves(results, view.model)
    if not curves:
        return card("Schedules", "No schedule that can be drawn.")
    figure = level_figure(curves, view.configuration, view.metric)
    shown = [curve.text for curve in curves if curve.configuration == view.configuration]
    bold = f" Bold: {shown[0]}." if shown else ""
    label = f"Level of mollification over training for {len(curves)} schedules of {view.model}"
    note = f"How fast each one removes the mollification.{bold}"
    return card("Schedules", note, plot(f"level-{number}", figure, label))
