"""Drawing: from the report's data to Plotly figures, without colours of the page.

Text, grid and background colours are set in the browser, where the light or dark theme is known.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from ._drawing import NEUTRAL, escape, lay_out, log_axis
from ._palette import family_color
from ._report_data import FidCurve, LevelCurve

# Good to bad; blue and orange are told apart by everyone and show on white and on black.
_SCALE = ["#0072B2", "#9A9A8F", "#E69F00"]
_NO_FID = "rgba(138,143,152,0.35)"


def fid_figure(curves: Sequence[FidCurve], winner: int | None = None) -> go.Figure:
    """Draw FID against the training step, one colour per family, on a logarithmic axis.

    Args:
        curves: Curves of the trials of one model.
        winner: Number of the trial to draw bold.
    """
    figure = go.Figure()
    families = sorted({curve.family for curve in curves}, key=lambda f: (f != "vanilla", f))
    for family in families:
        own = [curve for curve in curves if curve.family == family]
        for clean in (True, False):
            _add_family(figure, family, own, clean, bold=False)
    for curve in curves:
        if curve.trial == winner:
            _add_family(figure, curve.family, [curve], clean=True, bold=True)
    _explain_lines(figure, curves)
    lay_out(figure, "training step", "FID (lower is better)")
    _fid_axis(figure, curves)
    return figure


def _fid_axis(figure: go.Figure, curves: Sequence[FidCurve]) -> None:
    """Logarithmic axis over all clean values; the noisiest of the others may leave it."""
    fids = [fid for curve in curves for fid in curve.fids]
    flags = [clean for curve in curves for clean in curve.clean]
    kept = [fid for fid, clean in zip(fids, flags, strict=True) if clean] or fids
    low = 0.95 * min(fids)
    high = 1.05 * max(*kept, float(np.quantile(fids, 0.8)))
    log_axis(figure, low, high)


def _add_family(
    figure: go.Figure, family: str, curves: Sequence[FidCurve], clean: bool, bold: bool
) -> None:
    x: list[int | None] = []
    y: list[float | None] = []
    text: list[str] = []
    sizes: list[float] = []
    for curve in curves:
        for i in _segment(curve, clean):
            x.append(curve.steps[i])
            y.append(curve.fids[i])
            text.append(_hover(curve, i))
            sizes.append((9.0 if bold else 7.0) if curve.comparable[i] else 0.0)
        # An empty point ends the line, so that all trials of a family are one trace.
        x.append(None)
        y.append(None)
        text.append("")
        sizes.append(0.0)
    if not any(value is not None for value in x):
        return
    figure.add_scatter(
        x=x,
        y=y,
        text=text,
        mode="lines+markers",
        hovertemplate="%{text}<extra></extra>",
        line={
            "color": family_color(family),
            "width": 3.5 if bold else 1.6,
            "dash": "solid" if clean else "dot",
        },
        marker={"size": sizes, "color": family_color(family), "line": {"width": 0}},
        opacity=1.0 if bold else (0.75 if clean else 0.4),
        name=family,
        legendgroup=family,
        showlegend=family not in {trace.legendgroup for trace in figure.data},
    )


def _explain_lines(figure: go.Figure, curves: Sequence[FidCurve]) -> None:
    """Say in the legend what dotted lines and dots mean, when there are any."""
    keys = []
    if not all(clean for curve in curves for clean in curve.clean):
        line = {"dash": "dot", "color": NEUTRAL}
        keys.append(
            {"name": "data still mollified: not comparable", "mode": "lines", "line": line}
        )
    if any(any(curve.comparable) for curve in curves):
        marker = {"size": 8, "color": NEUTRAL}
        keys.append({"name": "full budget: comparable", "mode": "markers", "marker": marker})
    for key in keys:
        figure.add_scatter(x=[None], y=[None], hoverinfo="skip", **key)


def _segment(curve: FidCurve, clean: bool) -> list[int]:
    """Indices of a curve's clean part, or of its mollified part up to the first clean point."""
    indices = [i for i, is_clean in enumerate(curve.clean) if is_clean == clean]
    if indices and not clean and indices[-1] + 1 < len(curve.steps):
        indices.append(indices[-1] + 1)
    return indices


def _hover(curve: FidCurve, i: int) -> str:
    note = "comparable" if curve.comparable[i] else "not comparable"
    state = "clean" if curve.clean[i] else "mollified"
    return (
        f"trial {curve.trial}: {escape(curve.text)}<br>step {curve.steps[i]:,}: "
        f"FID {curve.fids[i]:.4g}<br>{state} data, {note}"
    )


def level_figure(curves: Sequence[LevelCurve], winner: int | None = None) -> go.Figure:
    """Draw the schedules' curves, coloured by expected FID, the winner bold.

    Args:
        curves: Curves of the configurations of one model.
        winner: Number of the configuration to draw bold.
    """
    figure = go.Figure()
    fids = [curve.fid for curve in curves if curve.fid is not None]
    low, high = fid_range(fids)
    # Worst first, so that good schedules lie on top.
    for curve in sorted(curves, key=lambda c: -np.inf if c.fid is None else -c.fid):
        bold = curve.configuration == winner
        result = "no final FID" if curve.fid is None else f"expected FID {curve.fid:.4g}"
        figure.add_scatter(
            # Single precision is written in binary: a fifth of the bytes of decimal numbers.
            x=np.asarray(curve.progress, np.float32),
            y=np.asarray(curve.level, np.float32),
            mode="lines",
            line={"color": _fid_color(curve.fid, low, high), "width": 5 if bold else 1.5},
            opacity=1.0 if bold else 0.75,
            hovertemplate=f"{_hover_schedule(curve)}<br>{result}<extra></extra>",
            showlegend=False,
        )
    if fids:
        _add_colorbar(figure, low, high, clipped=max(fids) > high)
    lay_out(figure, "share of training", "level relative to its start")
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(range=[-0.02, 1.04])
    return figure


def _hover_schedule(curve: LevelCurve) -> str:
    return f"configuration {curve.configuration}: {escape(curve.text)}"


def fid_range(fids: Sequence[float]) -> tuple[float, float]:
    """Ends of the colour scale.

    They are the best FID and the 80th percentile: a few outliers must not make all good ones
    look the same.
    """
    if not fids:
        return 0.0, 1.0
    low, high = float(min(fids)), float(np.quantile(fids, 0.8))
    return low, max(high, low + 1e-9)


def _fid_color(fid: float | None, low: float, high: float) -> str:
    if fid is None:
        return _NO_FID
    share = min(max((fid - low) / (high - low), 0.0), 1.0)
    return str(sample_colorscale(_SCALE, [share])[0])


def _add_colorbar(figure: go.Figure, low: float, high: float, clipped: bool) -> None:
    ticks = np.linspace(low, high, 4).tolist()
    labels = [f"{tick:.3g}" for tick in ticks]
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
                "title": {"text": "expected FID"},
                "tickvals": ticks,
                "ticktext": labels,
                "thickness": 12,
                "outlinewidth": 0,
            },
        },
    )
