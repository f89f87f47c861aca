"""Drawing FID against bits per dimension, with the configurations that nobody beats in both."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from mollitune.analysis.report.front import FrontPoint
from mollitune.analysis.words import count_of, fid_text, number, plus_minus

from .drawing import NEUTRAL, escape, lay_out, log_axis
from .palette import family_color
from .shape import MANY, add_key

_FAINT = 0.3
_OUTSIDE = 1.3  # how far beyond all FIDs a bar is still shown
_ROOM = 0.04  # of an axis, beyond the values at both ends
_REACH = 2.0  # of the range of the better 80 %, beyond which values leave the axis


def front_figure(points: Sequence[FrontPoint], winner: int | None = None) -> go.Figure:
    """Draw a diamond per configuration, faint where it is dominated, and the front as steps.

    Args:
        points: Configurations of one model, at least one.
        winner: Number of the configuration to draw large.
    """
    figure = go.Figure()
    many = len(points) > MANY
    families = sorted({p.family for p in points}, key=lambda f: (f != "vanilla", f))
    for family in families:
        add_key(figure, family)
    _add_steps(figure, points)
    strong = [p for p in points if p.dominated_by is None or p.configuration == winner]
    faint = [p for p in points if p not in strong]
    for own in (faint, strong):
        for family in families:
            drawn = [point for point in own if point.family == family]
            _add_means(figure, drawn, winner, many, own is strong)
    if faint:
        marker = {"symbol": "diamond", "size": 10, "color": NEUTRAL, "opacity": _FAINT}
        figure.add_scatter(
            x=[None], y=[None], mode="markers", marker=marker, name="dominated", hoverinfo="skip"
        )
    lay_out(figure, "bits per dim (mean)", "FID (mean)")
    _set_axes(figure, points, strong)
    return figure


def _set_axes(
    figure: go.Figure, points: Sequence[FrontPoint], strong: Sequence[FrontPoint]
) -> None:
    """Axes over all values but those that diverged; long bars may leave them."""
    low, high = bpd_range(points)
    room = _ROOM * ((high - low) or 1)
    ends = [p.bpd - p.bpd_error for p in strong if not math.isnan(p.bpd_error)]
    left = max(min([low, *ends]), low - 3 * room)
    figure.update_xaxes(range=[left - room, high + room])
    fids = [point.fid for point in points if point.fid > 0 and point.bpd <= high]
    if fids:
        ends = [p.fid - p.fid_error for p in strong if p.fid_error < p.fid]
        bottom = max(min([*fids, *ends]), min(fids) / _OUTSIDE)
        beyond = max(1.02, (max(fids) / bottom) ** _ROOM)
        log_axis(figure, bottom / beyond, max(fids) * beyond)


def bpd_range(points: Sequence[FrontPoint]) -> tuple[float, float]:
    """Ends of the horizontal axis: a few that diverged must not squeeze all others.

    Args:
        points: Configurations of one model, at least one.
    """
    values = [point.bpd for point in points]
    low, bulk = min(values), float(np.quantile(values, 0.8))
    inside = [value for value in values if value <= bulk + _REACH * (bulk - low)]
    return low, max([*inside, *(p.bpd for p in points if p.dominated_by is None)])


def _add_steps(figure: go.Figure, points: Sequence[FrontPoint]) -> None:
    """The border of what the front dominates."""
    front = sorted((point.bpd, point.fid) for point in points if point.dominated_by is None)
    if len(front) > 1:
        figure.add_scatter(
            x=[bpd for bpd, _ in front],
            y=[fid for _, fid in front],
            mode="lines",
            line={"shape": "hv", "width": 2, "color": NEUTRAL},
            name="front",
            hoverinfo="skip",
        )


def _add_means(
    figure: go.Figure, points: Sequence[FrontPoint], winner: int | None, many: bool, strong: bool
) -> None:
    """One trace of diamonds of a family."""
    if not points:
        return
    family, size = points[0].family, 7 if many and not strong else 10
    bars = strong or not many
    figure.add_scatter(
        # single precision is written in binary, a third of the bytes
        x=np.asarray([point.bpd for point in points], np.float32),
        y=np.asarray([point.fid for point in points], np.float32),
        text=[_text(point) for point in points],
        customdata=[point.trial for point in points],
        mode="markers",
        hovertemplate="%{text}<extra></extra>",
        marker={
            "symbol": "diamond",
            "size": [17 if point.configuration == winner else size for point in points],
            "color": family_color(family),
            "opacity": 1.0,  # where sizes differ, Plotly's default is .7
            "line": {"width": 0},
        },
        opacity=1.0 if strong else _FAINT,
        error_x=_bars(points, lambda point: point.bpd_error) if bars else None,
        error_y=_bars(points, lambda point: point.fid_error) if bars else None,
        name=family,
        legendgroup=family,
        showlegend=False,
    )


def _bars(
    points: Sequence[FrontPoint], error: Callable[[FrontPoint], float]
) -> dict[str, Any] | None:
    """Standard errors, where a configuration has several runs."""
    if all(math.isnan(error(point)) for point in points):
        return None
    lengths = [0.0 if math.isnan(error(point)) else error(point) for point in points]
    return {
        "type": "data",
        "array": np.asarray(lengths, np.float32),
        "thickness": 1.2,
        "width": 0,
        "color": family_color(points[0].family),
    }


def _text(point: FrontPoint) -> str:
    runs = f"in {count_of(point.runs, 'run')}"
    fid, bpd = fid_text(point.fid), number(point.bpd)
    if not math.isnan(point.fid_error):
        fid, bpd = plus_minus(point.fid, point.fid_error), plus_minus(point.bpd, point.bpd_error)
    means = f"FID {fid}, {bpd} bits per dim {runs}"
    return f"{means}<br>configuration {point.configuration}: {escape(point.text)}"
