"""Drawing FID during training, without colours of the page.

Text, grid and background colours are set in the browser, where the light or dark theme is known.
"""

import math
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import plotly.graph_objects as go

from mollitune.analysis.report.data import FidCurve

from .drawing import NEUTRAL, Line, as_trace, lay_out, log_axis, thinned
from .palette import family_color

MOST_POINTS = 20_000
"""Points of a figure; above, each curve is thinned to an equal share of them."""
MANY = 60
"""Above so many curves the best are drawn over pale ones."""
_FEWEST_POINTS = 12
_HOVER = "%{{text}}<br>step %{{x:,}}: {} %{{y:.4~r}}"


def points_each(curves: Sequence[FidCurve]) -> int:
    """Points that are drawn of each curve, at most; more than 11."""
    return max(_FEWEST_POINTS, MOST_POINTS // max(1, len(curves)))


def fid_figure(
    curves: Sequence[FidCurve],
    winner: int | None = None,
    strong: Collection[int] = (),
    metric: str = "FID",
) -> go.Figure:
    """Draw FID against the training step, one colour per family, on a logarithmic axis.

    Args:
        curves: Curves of the trials of one model.
        winner: Number of the trial to draw bold.
        strong: Numbers of trials that must not drown; above `MANY` curves all others are pale.
        metric: What the curves are of.
    """
    figure, hover = go.Figure(), _HOVER.format(metric)
    most = points_each(curves)
    families = sorted({curve.family for curve in curves}, key=lambda f: (f != "vanilla", f))
    for family in families:
        _add_key(figure, family)
    many = len(curves) > MANY
    pale = [curve for curve in curves if many and curve.trial not in strong]
    clear = [curve for curve in curves if not many or curve.trial in strong]
    for some, opacity in ((pale, _opacity(len(pale))), (clear, 1.0)):
        for clean in (False, True):  # dotted lines below all others
            for family in families:
                own = [curve for curve in some if curve.family == family]
                _add_lines(figure, own, clean, most, opacity * (0.8 if clean else 0.5), hover)
    for family in families:
        own = [curve for curve in curves if curve.family == family]
        _add_dots(figure, own, many, hover)
    for curve in curves:
        if curve.trial == winner:
            _add_bold(figure, curve, most, hover)
    _explain_lines(figure, curves)
    lay_out(figure, "training step", f"{metric} (lower is better)")
    _fid_axis(figure, curves)
    return figure


def _opacity(count: int) -> float:
    """The more lines there are, the more they must shine through one another."""
    return max(0.12, 0.6 * math.sqrt(MANY / max(MANY, count)))


def _fid_axis(figure: go.Figure, curves: Sequence[FidCurve]) -> None:
    """Logarithmic axis over all clean values; the noisiest of the others may leave it.

    Where one is not positive, as another metric may be, the axis stays linear.
    """
    fids = np.concatenate([curve.fids for curve in curves])
    if fids.min() <= 0:
        return
    clean = np.concatenate([curve.clean for curve in curves])
    kept = fids[clean] if clean.any() else fids
    log_axis(
        figure,
        0.95 * float(fids.min()),
        1.05 * max(float(kept.max()), float(np.quantile(fids, 0.8))),
    )


def _add_lines(
    figure: go.Figure,
    curves: Sequence[FidCurve],
    clean: bool,
    most: int,
    opacity: float,
    hover: str,
) -> None:
    """One trace of lines: all curves of a family, where the data is clean or is not."""
    lines = [line for curve in curves for line in _segment(curve, clean, most)]
    if not lines:
        return
    family = curves[0].family
    figure.add_scatter(
        **as_trace(lines),
        mode="lines",
        hovertemplate=f"{hover}<extra></extra>",
        line={"color": family_color(family), "width": 1.6, "dash": "solid" if clean else "dot"},
        opacity=opacity,
        name=family,
        legendgroup=family,
        showlegend=False,
    )


def _add_key(figure: go.Figure, family: str) -> None:
    """The family in the legend, whatever of it is drawn."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="lines",
        line={"color": family_color(family), "width": 2.5},
        name=family,
        legendgroup=family,
        hoverinfo="skip",
    )


def _segment(curve: FidCurve, clean: bool, most: int) -> Iterator[Line]:
    """A curve's clean part, or its mollified part up to the first clean point."""
    flags = curve.clean
    first = flags.index(True) if True in flags else len(flags)
    keep = [i for i in (first - 1, first) if 0 <= i < len(flags)]
    kept = thinned(curve.fids, keep, most)
    own = [int(i) for i in kept if (i >= first if clean else i <= first and first > 0)]
    if own:
        yield Line(curve.trial, [curve.steps[i] for i in own], [curve.fids[i] for i in own])


def _add_dots(figure: go.Figure, curves: Sequence[FidCurve], many: bool, hover: str) -> None:
    """One trace of dots: the values of a family that may be compared."""
    found = [(c, i) for c in curves for i, fit in enumerate(c.comparable) if fit]
    if not found:
        return
    family = curves[0].family
    figure.add_scatter(
        x=[curve.steps[i] for curve, i in found],
        y=[curve.fids[i] for curve, i in found],
        customdata=[curve.trial for curve, _ in found],
        mode="markers",
        hovertemplate=f"{hover}<br>comparable<extra></extra>",
        marker={"size": 5 if many else 7, "color": family_color(family), "line": {"width": 0}},
        opacity=0.4 if many else 0.8,
        name=family,
        legendgroup=family,
        showlegend=False,
    )


def _add_bold(figure: go.Figure, curve: FidCurve, most: int, hover: str) -> None:
    lines = list(_segment(curve, clean=True, most=most))
    if not lines:
        return
    figure.add_scatter(
        **as_trace(lines),
        mode="lines+markers",
        hovertemplate=f"{hover}<extra></extra>",
        line={"color": family_color(curve.family), "width": 3.5},
        marker={
            "size": [0] * (len(lines[0].x) - 1) + [9 if curve.comparable[-1] else 0, 0],
            "opacity": 1,
            "line": {"width": 0},
        },
        name=curve.family,
        legendgroup=curve.family,
        showlegend=False,
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
