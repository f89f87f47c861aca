"""Drawing the schedules' curves, coloured by the FID that they lead to."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from mollitune.analysis.report.data import LevelCurve
from mollitune.analysis.words import count_of, fid_text

from .drawing import Line, as_trace, lay_out, thinned_evenly

# Good to bad; blue and orange are told apart by everyone and show on white and on black.
_SCALE = ["#0072B2", "#9A9A8F", "#E69F00"]
_NO_FID = "rgba(138,143,152,0.35)"
_SHADES = 32


def level_figure(
    curves: Sequence[LevelCurve], winner: int | None = None, metric: str = "FID"
) -> go.Figure:
    """Draw the schedules' curves, coloured by what is expected of them, the winner bold.

    Curves of one shade are one trace. The worst come first, so that good ones lie on top.

    Args:
        curves: Curves of the configurations of one model.
        winner: Number of the configuration to draw bold.
        metric: What their values are of.
    """
    figure = go.Figure()
    fids = [curve.fid for curve in curves if curve.fid is not None]
    low, high = fid_range(fids)
    shades: dict[int, list[LevelCurve]] = {}
    for curve in curves:
        shades.setdefault(_shade(curve.fid, low, high), []).append(curve)
    for shade in sorted(shades, reverse=True):
        own = sorted(shades[shade], key=lambda c: -np.inf if c.fid is None else -c.fid)
        _add_curves(figure, own, _color(shade), len(curves), metric)
    for curve in curves:
        if curve.configuration == winner:
            color = _color(_shade(curve.fid, low, high))
            _add_curves(figure, [curve], color, 1, metric, bold=True)
    if fids:
        _add_colorbar(figure, low, high, max(fids) > high, metric)
    lay_out(figure, "share of training", "level relative to its start")
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(range=[-0.02, 1.04])
    return figure


def _add_curves(
    figure: go.Figure,
    curves: Sequence[LevelCurve],
    color: str,
    count: int,
    metric: str,
    bold: bool = False,
) -> None:
    figure.add_scatter(
        **as_trace(_line(curve, metric) for curve in curves),
        mode="lines",
        line={"color": color, "width": 5 if bold else 1.5},
        opacity=1.0 if bold else 0.8 * min(1.0, max(0.35, (100 / count) ** 0.4)),
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _line(curve: LevelCurve, metric: str) -> Line:
    kept = thinned_evenly(curve.progress, curve.level)
    note = f"no final {metric}"
    if curve.fid is not None:
        note = f"expected {metric} {fid_text(curve.fid)} after {count_of(curve.runs, 'run')}"
    return Line(
        curve.trial, [curve.progress[i] for i in kept], [curve.level[i] for i in kept], note
    )


def fid_range(fids: Sequence[float]) -> tuple[float, float]:
    """Ends of the colour scale.

    They are the best FID and the 80th percentile: a few outliers must not make all good ones
    look the same.
    """
    if not fids:
        return 0.0, 1.0
    low, high = float(min(fids)), float(np.quantile(fids, 0.8))
    return low, max(high, low + 1e-9)


def _shade(fid: float | None, low: float, high: float) -> int:
    """Number of a shade from 0, the best; one more than the last for no FID."""
    if fid is None:
        return _SHADES
    return round(min(max((fid - low) / (high - low), 0.0), 1.0) * (_SHADES - 1))


def _color(shade: int) -> str:
    if shade == _SHADES:
        return _NO_FID
    return str(sample_colorscale(_SCALE, [shade / (_SHADES - 1)])[0])


def _add_colorbar(figure: go.Figure, low: float, high: float, clipped: bool, metric: str) -> None:
    ticks = np.linspace(low, high, 4).tolist()
    labels = [fid_text(tick) for tick in ticks]
    if clipped:
        labels[-1] = f"≥ {labels[-1]}"
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        hoverinfo="skip",
        showlegend=False,
        marker={
            "color": [low],
            "cmin": low,
            "cmax": high,
            "colorscale": [[i / 2, color] for i, color in enumerate(_SCALE)],
            "colorbar": {
                "title": {"text": f"expected {metric}", "side": "right"},
                "tickvals": ticks,
                "ticktext": labels,
                "thickness": 12,
                "outlinewidth": 0,
            },
        },
    )
