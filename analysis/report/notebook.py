"""A search as a cell of a notebook shows it: what is recommended, the verdict, the best rows."""

import re
from collections.abc import Callable
from functools import partial

import plotly.graph_objects as go
from markupsafe import Markup

from mollitune._errors import MollituneError
from mollitune.analysis.confirmation import verdicts
from mollitune.analysis.ranking import best, leaderboard
from mollitune.analysis.tables.configurations import hyperspace_of
from mollitune.analysis.tables.results import Results, status_of

from .data import fid_curves, level_curves
from .figures.fid import fid_figure
from .figures.front import front_figure
from .figures.ladder import effect_figure, mean_figure, until_figure
from .figures.level import level_figure
from .figures.shape import setting_figure, shape_figure
from .front import front_points
from .ladder import budget_view
from .view import view

SHOWN = 8
"""Rows of the leaderboard."""
_COLUMNS = re.compile(r"schedule|runs|(?!vanilla_|.*_run_).*_(expected|low|high|mean)")


def in_html(results: Results) -> str:
    """Return status, recommendation and verdict of each model, and the best of its leaderboard.

    Args:
        results: Results of a search, whatever has finished.
    """
    parts = [Markup("<b>{}</b>: {}").format(results.name, status_of(results))]
    for model in sorted({*results.trials["model"]}):
        try:
            parts += _model(results, str(model))
        except MollituneError as error:
            parts.append(Markup("<p>{}</p>").format(str(error)))
    return str(Markup("\n").join(parts))


def figures(results: Results, model: str | None = None) -> dict[str, go.Figure]:
    """Return the plots of the report that there are data for, each as a Plotly figure.

    Args:
        results: Results of a search.
        model: The model; by default the one with the lowest expected value.

    Returns:
        Of ``training`` (the metric during training), ``schedules`` (their levels), ``shape`` (the
        metric against the shape), ``front`` (against bits per dimension), a hyperparameter's name,
        and ``effect``, ``budget`` and ``until`` (against the budget) those that can be drawn.

    Raises:
        MollituneError: If nothing has finished and no model is named.
    """
    own = view(results, model or best(results).model)
    curves, levels = fid_curves(results, own.model), level_curves(results, own.model)
    front, budgets = front_points(results, own), budget_view(results, own.model)
    how = own.configuration, own.metric
    found: dict[str, Callable[[], go.Figure | None]] = {
        "training": lambda: fid_figure(curves, own.trial, metric=own.metric) if curves else None,
        "schedules": lambda: level_figure(levels, *how) if levels else None,
        "shape": lambda: shape_figure(own.points, *how) if own.points else None,
        "front": lambda: front_figure(front, own.configuration) if len(front) > 1 else None,
    }
    for name, dimension in hyperspace_of(results, own.model).dimensions.items():
        points = [point for point in own.points if name in point.settings]
        if points:
            found[name] = partial(setting_figure, points, name, dimension, *how)
    if budgets is not None:
        found["effect"] = partial(effect_figure, budgets, own.metric)
        found["budget"] = partial(mean_figure, budgets, own.metric)
        if len(budgets.best) > 1:
            found["until"] = partial(until_figure, budgets, own.metric)
    drawn = {name: draw() for name, draw in found.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _model(results: Results, model: str) -> list[Markup]:
    told = [best(results, model).sentence]
    for found in verdicts(results):
        if found.model == model:
            told += filter(None, (found.sentence, found.also))
    board = leaderboard(results, model).head(SHOWN)
    shown = board[[name for name in board if _COLUMNS.fullmatch(str(name))]]
    html = shown.to_html(index=False, border=0, float_format="{:.4g}".format)  # escapes
    table = Markup(html)  # noqa: S704
    return [*(Markup("<p>{}</p>").format(text) for text in dict.fromkeys(told)), table]
