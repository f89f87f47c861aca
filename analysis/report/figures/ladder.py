"""Drawing what schedules do against the budget, on a logarithmic axis of the budgets measured."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from mollitune.analysis.ranking.trends import Trends
from mollitune.analysis.report.ladder import BudgetCurve, BudgetPoint, BudgetView
from mollitune.analysis.words import count_of, fid_text, interval_text

from .drawing import NEUTRAL, escape, lay_out, log_axis
from .palette import family_color

_ROOM = 0.05  # of the axis, beyond the budgets at both ends
_CLOSE = 0.1  # of the axis: labels that are closer lie on each other on a narrow page
_WIDE = 0.2  # of the axis: what is narrower has no room for words
_SPREAD = 0.012  # of the axis: how far arms stand apart, so that their intervals can be seen
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "triangle-up", "x")
_SHADE = "rgba(138, 143, 152, 0.16)"


def effect_figure(view: BudgetView, metric: str = "FID") -> go.Figure:
    """Draw the paired difference from vanilla with its interval, by budget, of each arm.

    Where an arm starts or stops to pay, a diamond stands on the line of zero, with its interval.
    Production's budget is marked, and what lies beyond the measured ones is shaded.

    Args:
        view: What was measured.
        metric: What the values are of.
    """
    figure, known = go.Figure(), view.trends
    low, high = _ends(known, target=True)
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5})
    _mark_target(figure, known, low, high)
    arms = [curve for curve in view.curves if curve.family != "vanilla"]
    styles = _styles(arms)
    for i, (curve, style) in enumerate(zip(arms, styles, strict=True)):
        points = [point for point in curve.points if not math.isnan(point.difference)]
        shift = (high / low) ** (_SPREAD * (i - (len(arms) - 1) / 2))
        if points:
            trace = _trace(curve, points, style, lambda point: point.difference, metric)
            trace.x = [point.at * shift for point in points]
            trace.error_y = _bars(points, curve.family)
            figure.add_trace(trace)
    _add_crossings(figure, known, arms)
    lay_out(figure, f"training {known.unit}", f"{metric}: difference from vanilla")
    _budget_axis(figure, known, target=True)
    return figure


def mean_figure(view: BudgetView, metric: str = "FID") -> go.Figure:
    """Draw the mean of each arm and of vanilla against the budget, both logarithmic.

    Args:
        view: What was measured.
        metric: What the values are of; where one is not positive, its axis is linear.
    """
    figure = go.Figure()
    mixed = len({curve.source for curve in view.curves}) > 1
    for curve, style in zip(view.curves, _styles(view.curves), strict=True):
        trace = _trace(curve, curve.points, style, lambda point: point.mean, metric)
        trace.name += f" ({curve.source})" * mixed
        figure.add_trace(trace)
    lay_out(figure, f"training {view.trends.unit}", f"{metric} (mean)")
    means = [point.mean for curve in view.curves for point in curve.points]
    if min(means) > 0:
        room = max(1.04, (max(means) / min(means)) ** _ROOM)
        log_axis(figure, min(means) / room, max(means) * room)
    _budget_axis(figure, view.trends)
    return figure


def until_figure(view: BudgetView, metric: str = "FID") -> go.Figure:
    """Draw the share of training that the best schedule of each budget mollifies.

    Args:
        view: What was measured.
        metric: What the values are of.
    """
    figure = go.Figure()
    points = [point for _, point in view.best]
    figure.add_scatter(
        x=[point.at for point in points],
        y=[point.until for point in points],
        text=[
            f"{escape(arm)}<br>{metric} {fid_text(point.mean)} in "
            f"{count_of(point.seeds, 'run')} at {point.at:,} {view.trends.unit}"
            for arm, point in view.best
        ],
        customdata=[point.trial for point in points],
        mode="lines+markers",
        hovertemplate="%{text}<extra></extra>",
        line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        marker={"symbol": "diamond", "size": 11, "color": family_color("sigmoid")},
        showlegend=False,
    )
    lay_out(figure, f"training {view.trends.unit}", "until, of the best schedule")
    figure.update_yaxes(range=[0, 1.03])
    _budget_axis(figure, view.trends)
    return figure


def _styles(curves: Sequence[BudgetCurve]) -> list[tuple[str, str]]:
    """Dash and symbol of each curve: those of one family share its colour."""
    seen: dict[str, int] = {}
    styles = []
    for curve in curves:
        i = seen[curve.family] = seen.get(curve.family, -1) + 1
        styles.append((_DASHES[i % len(_DASHES)], _SYMBOLS[i % len(_SYMBOLS)]))
    return styles


def _trace(
    curve: BudgetCurve,
    points: Sequence[BudgetPoint],
    style: tuple[str, str],
    value: Callable[[BudgetPoint], float],
    metric: str,
) -> go.Scatter:
    color, (dash, symbol) = family_color(curve.family), style
    return go.Scatter(
        x=[point.at for point in points],
        y=[value(point) for point in points],
        text=[_text(curve, point, metric) for point in points],
        customdata=[point.trial for point in points],
        mode="lines+markers",
        hovertemplate="%{text}<extra></extra>",
        line={"color": color, "width": 2, "dash": dash},
        marker={"symbol": symbol, "size": 9, "color": color},
        name=escape(curve.arm),
    )


def _text(curve: BudgetCurve, point: BudgetPoint, metric: str) -> str:
    mean = f"{metric} {fid_text(point.mean)} in {count_of(point.seeds, 'run')} ({curve.source})"
    if math.isnan(point.difference):
        return f"{escape(curve.arm)}<br>{mean}"
    ends = "" if math.isnan(point.low) else f" ({interval_text(point.low, point.high)})"
    difference = f"{fid_text(point.difference, signed=True)} from vanilla{ends}"
    return f"{escape(curve.arm)}<br>{difference}<br>{mean}"


def _bars(points: Sequence[BudgetPoint], family: str) -> dict[str, Any] | None:
    if all(math.isnan(point.low) for point in points):
        return None
    halves = [(point.high - point.low) / 2 for point in points]
    return {
        "type": "data",
        "array": [0.0 if math.isnan(half) else half for half in halves],
        "thickness": 1.4,
        "width": 4,
        "color": family_color(family),
    }


def _add_crossings(figure: go.Figure, known: Trends, arms: Sequence[BudgetCurve]) -> None:
    """A diamond on the line of zero for each arm that starts or stops to pay."""
    families = {(curve.arm, curve.source): curve.family for curve in arms}
    for arm in known.arms:
        crossing, family = arm.trend.crossing, families.get((arm.arm, arm.source))
        if crossing is None or family is None:
            continue
        color = family_color(family)
        figure.add_scatter(
            x=[crossing.low, crossing.at, crossing.high],
            y=[0, 0, 0],
            text=[escape(arm.sentence)] * 3,
            mode="lines+markers",
            hovertemplate="%{text}<extra></extra>",
            line={"color": color, "width": 5},
            marker={"symbol": "diamond", "size": [0, 14, 0], "color": color, "opacity": 1.0},
            opacity=0.75,
            showlegend=False,
        )
    if any(arm.trend.crossing for arm in known.arms):
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="lines+markers",
            line={"color": NEUTRAL, "width": 5},
            marker={"symbol": "diamond", "size": 12, "color": NEUTRAL},
            name="where the sign changes, 90 % interval",
            hoverinfo="skip",
        )


def _mark_target(figure: go.Figure, known: Trends, low: float, high: float) -> None:
    longest = known.budgets[-1]
    if known.extrapolation is not None:
        # shapes on a logarithmic axis take values, annotations their logarithms
        figure.add_shape(
            **{"type": "rect", "x0": longest, "x1": high, "y0": 0, "y1": 1, "yref": "paper"},
            **{"fillcolor": _SHADE, "line": {"width": 0}, "layer": "below"},
        )
        if math.log(high / longest) > _WIDE * math.log(high / low):
            _write(figure, "not measured", math.sqrt(longest * high), 0.02, "bottom")
    if known.target is not None:
        figure.add_shape(
            **{"type": "line", "x0": known.target, "x1": known.target, "y0": 0, "y1": 1},
            **{"yref": "paper", "line": {"color": NEUTRAL, "width": 2, "dash": "dash"}},
        )
        _write(figure, f"target {known.target:,} ", known.target, 1, "top", "right")


def _write(
    figure: go.Figure, text: str, x: float, y: float, anchor: str, side: str = "center"
) -> None:
    figure.add_annotation(
        **{"text": text, "x": math.log10(x), "y": y, "yref": "paper", "yanchor": anchor},
        **{"xanchor": side, "showarrow": False},
    )


def _ends(known: Trends, target: bool) -> tuple[float, float]:
    """The ends of the axis, with some room."""
    first, last = known.budgets[0], max(known.budgets[-1], (known.target or 0) if target else 0)
    room = max(1.1, (last / first) ** _ROOM)
    return first / room, last * room


def _budget_axis(figure: go.Figure, known: Trends, target: bool = False) -> None:
    """A tick at each budget that was measured, with its label where there is room."""
    low, high = _ends(known, target)
    labelled: list[int] = []
    # from the right: of two that lie on each other the longer budget keeps its label
    for budget in reversed(known.budgets):
        if not labelled or math.log(labelled[-1] / budget) > _CLOSE * math.log(high / low):
            labelled.append(budget)
    figure.update_xaxes(
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickangle=0,
        tickvals=known.budgets,
        ticktext=[f"{budget:,}" if budget in labelled else "" for budget in known.budgets],
    )
