import numpy as np
import plotly.graph_objects as go
import pytest

from mollitune.analysis.report.figures.drawing import Line, as_trace, escape, log_axis
from mollitune.analysis.report.figures.palette import family_color
from mollitune.schedules import families


def test_lines_in_one_trace_are_apart() -> None:
    trace = as_trace([Line(3, [0, 1], [5.0, 6.0]), Line(8, [2], [7.0], "a note")])
    np.testing.assert_array_equal(trace["y"], np.array([5, 6, np.nan, 7, np.nan], np.float32))
    np.testing.assert_array_equal(trace["x"], np.array([0, 1, 1, 2, 2], np.float32))
    assert trace["meta"] == {"lines": [[3, 3, ""], [8, 2, "a note"]]}


@pytest.mark.parametrize(("low", "high"), [(20, 24), (28.7, 29.1), (31, 58), (5, 900)])
def test_axis_has_some_ticks_whatever_its_range(low: float, high: float) -> None:
    figure = go.Figure()
    log_axis(figure, low, high)
    inside = [tick for tick in figure.layout.yaxis.tickvals if low <= tick <= high]
    assert 4 <= len(inside) <= 25
    shown = [figure.layout.yaxis.ticktext[figure.layout.yaxis.tickvals.index(t)] for t in inside]
    assert [float(text) for text in shown] == pytest.approx(inside)


def test_families_have_colours_of_their_own() -> None:
    assert len({family_color(family) for family in families()}) == len(families())
    assert family_color("own") == family_color("own")


@pytest.mark.parametrize(
    ("text", "safe"),
    [("a<b>", "a&lt;b&gt;"), ("a&b", "a&amp;b"), ("%{x}", "%&#123;x}")],
)
def test_labels_are_escaped(text: str, safe: str) -> None:
    assert escape(text) == safe
