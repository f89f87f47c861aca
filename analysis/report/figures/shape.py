"""Drawing FID at full budget against the shape of the schedule, or a hyperparameter."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from mollitune.analysis.report.data import ShapePoint
from mollitune.analysis.words import count_of, fid_text, interval_text
from mollitune.schedules import Choice, Dimension
from mollitune.search.policy import nearest

from .drawing import NEUTRAL, escape, lay_out, log_axis, log_ticks
from .palette import family_color

At = Callable[[ShapePoint], Any]
"""Where a configuration lies on the horizontal axis."""
_OUTSIDE = 1.3  # how far beyond all values an interval is still shown
MANY = 40
"""Above so many configurations only the best ten have their intervals drawn."""
_FEW = 10
_MOST_TICKS = 6
_MARGIN = 0.05  # of a logarithmic axis, beyond the values at both ends


def shape_figure(
    points: Sequence[ShapePoint], winner: int | None = None, metric: str = "FID"
) -> go.Figure:
    """Draw a dot per run and a diamond with an interval for what is expected of it.

    Args:
        points: Configurations of one model, at least one.
        winner: Number of the configuration to draw large.
        metric: What their values are of.
    """
    figure = _drawn(points, lambda point: point.area, winner, "mean level over training", metric)
    widest = max(point.area for point in points)
    figure.update_xaxes(range=[-0.04 * (widest or 1), 1.06 * (widest or 1)])
    return figure


def setting_figure(
    points: Sequence[ShapePoint],
    name: str,
    found: Dimension,
    winner: int | None = None,
    metric: str = "FID",
) -> go.Figure:
    """Draw the same over a hyperparameter that was searched.

    Args:
        points: Configurations of one model that have it, at least one.
        name: Its name.
        found: What was searched: the axis is logarithmic, or one of categories, as that is.
        winner: As for `shape_figure`.
        metric: As for `shape_figure`.
    """
    at = _place(name, found)
    figure = _drawn(points, at, winner, name.removeprefix("hparams."), metric)
    if isinstance(found, Choice):
        _categories(figure, [str(option) for option in found.options])
    elif found.log:
        low, high = min(map(at, points)), max(map(at, points))
        beyond = max(1.1, (high / low) ** _MARGIN)
        figure.update_xaxes(log_ticks(low / beyond, high * beyond, _MOST_TICKS))
    return figure


def _place(name: str, found: Dimension) -> At:
    """A point's value; of alternatives the one that it means, as in tables 64 may be 64.0."""
    if isinstance(found, Choice):
        return lambda point: str(nearest(found, point.settings[name]))
    return lambda point: point.settings[name]


def _categories(figure: go.Figure, names: Sequence[str]) -> None:
    """An axis of alternatives, with the families side by side at each and room for all."""
    figure.update_xaxes(
        type="category",
        categoryorder="array",
        categoryarray=names,
        range=[-0.5, len(names) - 0.5],
        tickvals=names,
    )
    for trace in figure.data:
        trace.offsetgroup = trace.legendgroup or figure.data[0].legendgroup
    figure.update_layout(scattermode="group", scattergap=0.5)


def _drawn(
    points: Sequence[ShapePoint], at: At, winner: int | None, title: str, metric: str
) -> go.Figure:
    figure = go.Figure()
    many = len(points) > MANY
    best = {p.configuration for p in sorted(points, key=lambda p: p.expected)[:_FEW]}
    sure = [p for p in points if not many or p.configuration in best | {winner}]
    rest = [p for p in points if many and p.configuration not in best | {winner}]
    families = sorted({p.family for p in points}, key=lambda f: (f != "vanilla", f))
    for family in families:
        add_key(figure, family)
        _add_runs(figure, at, [p for p in points if p.family == family], many, metric)
    for own in (rest, sure):
        for family in families:
            drawn = [p for p in own if p.family == family]
            _add_expected(figure, at, drawn, winner, many, own is sure, metric)
    _explain(figure, points)
    lay_out(figure, title, f"{metric} at full budget")
    _fid_axis(figure, points)
    return figure


def _fid_axis(figure: go.Figure, points: Sequence[ShapePoint]) -> None:
    """Logarithmic axis over all values; intervals much wider than these may leave it.

    Where one is not positive, as another metric may be, the axis stays linear.
    """
    fids = [fid for point in points for fid in (*point.fids, point.expected)]
    ends = [end for point in points for end in (point.low, point.high) if end > 0]
    if min(fids) <= 0:
        return
    low, high = min(fids), max(fids)
    log_axis(
        figure,
        0.97 * max(min([low, *ends]), low / _OUTSIDE),
        1.03 * min(max([high, *ends]), high * _OUTSIDE),
    )


def add_key(figure: go.Figure, family: str) -> None:
    """The family in the legend, whatever of it is drawn."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"symbol": "diamond", "size": 10, "color": family_color(family)},
        name=family,
        legendgroup=family,
        hoverinfo="skip",
    )


def _add_runs(
    figure: go.Figure, at: At, points: Sequence[ShapePoint], many: bool, metric: str
) -> None:
    """One trace of dots of a family, one per run."""
    family = points[0].family
    figure.add_scatter(
        x=[at(point) for point in points for _ in point.fids],
        y=[fid for point in points for fid in point.fids],
        text=[_run_text(point, i, metric) for point in points for i in range(len(point.fids))],
        customdata=[trial for point in points for trial in point.trials],
        mode="markers",
        hovertemplate="%{text}<extra></extra>",
        marker={"size": 5 if many else 7, "color": family_color(family)},
        opacity=0.35 if many else 0.6,
        name=family,
        legendgroup=family,
        showlegend=False,
    )


def _add_expected(
    figure: go.Figure,
    at: At,
    points: Sequence[ShapePoint],
    winner: int | None,
    many: bool,
    intervals: bool,
    metric: str,
) -> None:
    """One trace of diamonds, one per configuration of a family, with or without intervals."""
    if not points:
        return
    family, size = points[0].family, 7 if many else 10
    figure.add_scatter(
        x=[at(point) for point in points],
        y=[point.expected for point in points],
        text=[_expected_text(point, metric) for point in points],
        customdata=[point.median_trial for point in points],
        mode="markers",
        hovertemplate="%{text}<extra></extra>",
        marker={
            "symbol": "diamond",
            "opacity": 1.0,  # where sizes differ, Plotly's default is paler
            "size": [17 if point.configuration == winner else size for point in points],
            "color": family_color(family),
            "line": {"width": 0},
        },
        error_y=_bars(points) if intervals else None,
        name=family,
        legendgroup=family,
        showlegend=False,
    )


def _bars(points: Sequence[ShapePoint]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [_length(point.high - point.expected) for point in points],
        "arrayminus": [_length(point.expected - point.low) for point in points],
        "thickness": 1.2,
        "width": 0,
        "color": family_color(points[0].family),
    }


def _explain(figure: go.Figure, points: Sequence[ShapePoint]) -> None:
    intervals = any(not math.isnan(point.low) for point in points)
    keys = {
        "one run": {"size": 7, "color": NEUTRAL, "opacity": 0.6},
        f"expected{', 90 % interval' if intervals else ''}": {
            "symbol": "diamond",
            "size": 10,
            "color": NEUTRAL,
        },
    }
    for name, marker in keys.items():
        figure.add_scatter(
            x=[None], y=[None], mode="markers", marker=marker, name=name, hoverinfo="skip"
        )


def _run_text(point: ShapePoint, i: int, metric: str) -> str:
    value = f"{metric} {fid_text(point.fids[i])}"
    run = f"trial {point.trials[i]}, seed {point.seeds[i]}: {value}"
    return f"{run}<br>{_schedule_text(point)}"


def _expected_text(point: ShapePoint, metric: str) -> str:
    runs = count_of(len(point.fids), "run")
    text = f"expected {metric} {fid_text(point.expected)} after {runs}"
    if not math.isnan(point.low):
        text += f"<br>90 % interval {interval_text(point.low, point.high)}"
    return f"{text}<br>{_schedule_text(point)}"


def _schedule_text(point: ShapePoint) -> str:
    return f"configuration {point.configuration}: {escape(point.text)}"


def _length(length: float) -> float:
    return 0.0 if math.isnan(length) else length
