"""A figure of how the runs of a search went."""

from __future__ import annotations

from collections.abc import Iterable

import plotly.graph_objects as go

from mollitune._errors import MollituneError
from mollitune.analysis.diagnostics.learning import evaluations
from mollitune.analysis.report.data import fid_curves
from mollitune.analysis.tables.results import Results

from .drawing import escape, spell_out
from .fid import fid_figure


def learning_figure(
    results: Results, model: str | None = None, trials: Iterable[int] | None = None
) -> go.Figure:
    """Draw FID against the training step of the search's runs, as in the report.

    Args:
        results: Results of a search.
        model: The model; not needed where the search, or the runs asked for, have only one.
        trials: Only the runs of these numbers; all of them by default.

    Raises:
        MollituneError: If the search has no such model or trial, the runs are of several models,
            or there is no finite FID to draw.
    """
    rows = evaluations(results, model, trials)
    models = sorted(rows["model"].unique())
    if len(models) > 1:
        raise MollituneError(
            f"{results.name!r} has several models: {', '.join(models)}; name the one to draw"
        )
    wanted = {*rows["trial"]}
    every = [curve for name in models for curve in fid_curves(results, name)]
    curves = [curve for curve in every if curve.trial in wanted]
    if not curves:
        raise MollituneError(
            f"no FID of {results.name!r} to draw: none of the runs that were asked for has one"
        )
    figure = fid_figure(curves, metric=results.objective.title)
    spell_out(
        figure, {curve.trial: f"trial {curve.trial}: {escape(curve.text)}" for curve in curves}
    )
    return figure
