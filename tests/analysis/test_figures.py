import math

import numpy as np
import plotly.graph_objects as go
import pytest

from mollitune.analysis import Results
from mollitune.analysis._drawing import escape, log_axis
from mollitune.analysis._figures import fid_figure, fid_range, level_figure
from mollitune.analysis._palette import family_color
from mollitune.analysis._report_data import FidCurve, LevelCurve, fid_curves, level_curves
from mollitune.schedules import families


def shown(trace: object) -> list[tuple[float, float]]:
    pairs = zip(trace.x, trace.y, strict=True)  # type: ignore[attr-defined]
    return [(x, y) for x, y in pairs if x is not None]


def curve(trial: int, fids: list[float], clean: int, family: str = "linear") -> FidCurve:
    """A curve whose evaluations from number ``clean`` on are on clean data."""
    n = len(fids)
    flags = [i >= clean for i in range(n)]
    return FidCurve(trial, family, family, list(range(n)), fids, flags, [False] * (n - 1) + [True])


def test_every_evaluation_is_drawn_and_mollified_ones_dotted(results: Results) -> None:
    curves = fid_curves(results, "glow")
    figure = fid_figure(curves)
    points = {(s, f) for c in curves for s, f in zip(c.steps, c.fids, strict=True)}
    drawn = [trace for trace in figure.data if trace.legendgroup]
    assert {point for trace in drawn for point in shown(trace)} == points
    noisy = {
        (s, f)
        for c in curves
        for s, f, clean in zip(c.steps, c.fids, c.clean, strict=True)
        if not clean
    }
    solid = [trace for trace in drawn if trace.line.dash == "solid"]
    assert noisy.isdisjoint(point for trace in solid for point in shown(trace))


def test_dotted_line_reaches_the_first_clean_point() -> None:
    figure = fid_figure([curve(0, [9.0, 8.0, 7.0, 6.0], clean=2)])
    traces = {trace.line.dash: shown(trace) for trace in figure.data if trace.legendgroup}
    assert traces["dot"] == [(0, 9.0), (1, 8.0), (2, 7.0)]
    assert traces["solid"] == [(2, 7.0), (3, 6.0)]


def test_only_comparable_values_have_dots() -> None:
    figure = fid_figure([curve(0, [9.0, 8.0, 7.0], clean=0)])
    assert [size > 0 for size in figure.data[0].marker.size] == [False, False, True, False]


def test_each_family_stands_in_the_legend_once(results: Results) -> None:
    figure = fid_figure(fid_curves(results, "glow"), winner=2)
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert names[:5] == ["vanilla", "blur", "cosine", "linear", "sigmoid"]
    assert names[5:] == ["data still mollified: not comparable", "full budget: comparable"]


def test_winner_is_bold(results: Results) -> None:
    figure = fid_figure(fid_curves(results, "glow"), winner=2)
    bold = [trace for trace in figure.data if trace.line.width and trace.line.width > 3]
    assert [trace.name for trace in bold] == ["sigmoid"]
    assert shown(bold[0])[-1] == (1000, 20.0)


def test_axis_holds_all_clean_values_but_not_every_noisy_one() -> None:
    curves = [curve(i, [1e6, 100.0, 50.0], clean=1) for i in range(3)]
    noisy = [curve(3, [90.0, 80.0, 60.0], clean=0, family="vanilla")] * 10
    low, high = fid_figure([*curves, *noisy]).layout.yaxis.range
    assert 10**low < 50.0
    assert 100.0 < 10**high < 1e6


def test_family_without_clean_values_is_in_the_legend_too() -> None:
    figure = fid_figure([curve(0, [9.0, 8.0], clean=5)])
    assert figure.data[0].name == "linear"
    assert figure.data[0].showlegend


def test_level_figure_draws_the_winner_bold_and_good_ones_last(results: Results) -> None:
    curves = level_curves(results, "glow")
    lines = [trace for trace in level_figure(curves, winner=2).data if trace.mode == "lines"]
    assert len(lines) == len(curves)
    assert lines[-1].line.width > max(line.line.width for line in lines[:-1])
    level = next(c.level for c in curves if c.configuration == 2)
    assert lines[-1].y == pytest.approx(np.array(level), rel=1e-6)


def test_level_figure_without_final_fids() -> None:
    figure = level_figure([LevelCurve(0, "linear", "linear", [0.0, 1.0], [1.0, 0.0], None)])
    assert len(figure.data) == 1  # no colour bar


def test_outliers_do_not_stretch_the_colour_scale() -> None:
    low, high = fid_range([10.0, 11.0, 12.0, 13.0, 14.0, 1e9])
    assert (low, high) == (10.0, 14.0)
    assert fid_range([5.0])[0] < fid_range([5.0])[1]
    assert all(map(math.isfinite, fid_range([])))


def test_colour_bar_says_when_it_is_cut() -> None:
    curves = [
        LevelCurve(i, "linear", "linear", [0.0, 1.0], [1.0, 0.0], fid)
        for i, fid in enumerate([10.0, 11.0, 12.0, 13.0, 14.0, 1e9])
    ]
    labels = level_figure(curves).data[-1].marker.colorbar.ticktext
    assert labels[0] == "10"
    assert labels[-1] == "≥ 14"


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
