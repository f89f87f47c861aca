"""What the figures share: layout, logarithmic axes, many lines in one trace, safe text."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

NEUTRAL = "#8A8F98"
_TICKS = (1, 1.5, 2, 3, 4, 5, 6, 8)
_ROUNDER = ((1, 2, 3, 5), (1, 3), (1,))
_FEWEST_TICKS = 4
_TRANSPARENT = "rgba(0,0,0,0)"


class Line(NamedTuple):
    """A line of a figure, which stands for a trial.

    Attributes:
        trial: Number of the trial that a click on it shows.
        x: Places of its points.
        y: Their heights.
        note: Text that is shown under the pointer, after the trial's own.
    """

    trial: int
    x: Sequence[float]
    y: Sequence[float]
    note: str = ""


def as_trace(lines: Iterable[Line]) -> dict[str, Any]:
    """Put many lines into one trace, since a browser draws few large traces fast.

    An empty point ends each line. Numbers are in single precision, which is written in binary: a
    fifth of the bytes of decimal numbers. Which trial each point belongs to stands in ``meta``,
    as trial, points and note of each line; the page's script makes text and clicks of it.

    Args:
        lines: The lines, at least one.

    Returns:
        Arguments of a scatter trace.
    """
    drawn = list(lines)
    return {
        "x": np.concatenate([np.asarray([*line.x, line.x[-1]], np.float32) for line in drawn]),
        "y": np.concatenate([np.asarray([*line.y, np.nan], np.float32) for line in drawn]),
        "meta": {"lines": [[line.trial, len(line.x) + 1, line.note] for line in drawn]},
    }


def spell_out(figure: go.Figure, words: Mapping[int, str]) -> None:
    """Write into the traces what the page's script makes of ``meta``, for a figure elsewhere.

    Args:
        figure: A figure of traces by `as_trace`, or with the number of a trial for each point.
        words: What each trial is, by number, as safe text.
    """
    for trace in figure.data:
        lines = (trace.meta or {}).get("lines", ())
        owners = [trial for trial, points, _ in lines for _ in range(points)]
        owners = owners or list(trace.customdata if trace.customdata is not None else ())
        if owners and trace.text is None:
            trace.update(text=[words.get(trial, "") for trial in owners])


def lay_out(figure: go.Figure, x: str, y: str) -> None:
    """Set what all figures share, and the titles of the axes."""
    figure.update_layout(
        template="none",
        paper_bgcolor=_TRANSPARENT,
        plot_bgcolor=_TRANSPARENT,
        margin={"l": 64, "r": 16, "t": 16, "b": 48},
        hovermode="closest",
        legend={
            **{"orientation": "h", "yanchor": "top", "xanchor": "left", "x": 0},
            **{"itemsizing": "constant", "tracegroupgap": 2},
        },
    )
    figure.update_xaxes(
        title={"text": x, "standoff": 8}, showgrid=False, zeroline=False, ticks="outside"
    )
    figure.update_yaxes(title={"text": y, "standoff": 10}, zeroline=False)


def log_axis(figure: go.Figure, low: float, high: float) -> None:
    """Make the vertical axis logarithmic from ``low`` to ``high``, both > 0."""
    figure.update_yaxes(log_ticks(low, high))


def log_ticks(low: float, high: float, most: float = math.inf) -> dict[str, Any]:
    """Return what makes an axis logarithmic from ``low`` to ``high``, both > 0.

    Args:
        low: Lower end.
        high: Upper end.
        most: How many labels have room; with more, rounder numbers alone have one.
    """
    sets = [_ticks(low, high, steps) for steps in (_TICKS, *_ROUNDER)]
    if len(sets[0]) < _FEWEST_TICKS:
        sets = [_even_ticks(low, high)]
    ticks = next((ticks for ticks in sets if len(ticks) <= most), sets[-1])
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def _ticks(low: float, high: float, steps: Sequence[float]) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    ticks = (step * 10.0**decade for decade in decades for step in steps)
    return [tick for tick in ticks if low <= tick <= high]


def _even_ticks(low: float, high: float) -> list[float]:
    """At least four ticks in round steps, for an axis of less than about half a decade."""
    size = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(size * k for k in (5, 2, 1) if size * k <= (high - low) / 4)
    first = math.ceil(low / step)
    return [step * k for k in range(first, math.floor(high / step) + 1)]


def escape(text: str) -> str:
    """Make text safe inside a Plotly label, which knows a few HTML tags and ``%{}``."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("%{", "%&#123;")


_STRIDE = 8
_TOLERANCE = 0.004


def thinned(
    values: Sequence[float], keep: Sequence[int], most: int
) -> npt.NDArray[np.intp] | range:
    """Choose points of a curve so that it still looks the same.

    Both ends, the points to keep, and the lowest and highest value of each of some equal parts
    stay, so that no spike is lost.

    Args:
        values: Heights of the curve, at least one.
        keep: Indices that must stay.
        most: Largest number of points, but for those that must stay.

    Returns:
        Indices in order; all of them where there are no more than ``most``.

    Example:
        >>> thinned([9, 8, 7, 99, 5, 4, 3, 2, 1, 0], keep=[1], most=6).tolist()
        [0, 1, 3, 4, 5, 8, 9]
    """
    count = len(values)
    if count <= most:
        return range(count)
    heights = np.asarray(values)
    parts = np.array_split(np.arange(1, count - 1), max(1, (most - 2) // 2))
    chosen = [0, count - 1, *keep]
    for part in parts:
        if part.size:
            own = heights[part]
            chosen += [int(part[own.argmin()]), int(part[own.argmax()])]
    return np.unique(chosen)


def thinned_evenly(progress: Sequence[float], values: Sequence[float]) -> npt.NDArray[np.intp]:
    """Choose points of a smooth curve so that straight lines between them are as good.

    Every eighth point stays; between two of them all stay where the curve is farther from the
    line than .004.

    Args:
        progress: Places of the points, in order.
        values: Heights of the curve there.

    Returns:
        Indices in order.
    """
    x, y = np.asarray(progress), np.asarray(values)
    kept = np.zeros(len(x), bool)
    kept[::_STRIDE] = kept[-1:] = True
    chord = np.interp(x, x[kept], y[kept])
    off = np.abs(y - chord) > _TOLERANCE
    part = np.arange(len(x)) // _STRIDE
    return np.flatnonzero(kept | np.isin(part, part[off]))
