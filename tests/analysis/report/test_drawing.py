import numpy as np
import plotly.graph_objects as go
import pytest

from mollitune.analysis.report.figures.drawing import (
    Line,
    as_trace,
    escape,
    log_axis,
    log_ticks,
    thinned,
    thinned_evenly,
)
from mollitune.analysis.report.figures.palette import family_color
from mollitune.schedules import build, families


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


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.002, 0.009, ["0.002", "0.003", "0.004", "0.005", "0.006", "0.008"]),
        (3e-4, 4e-3, ["0.0003", "0.0005", "0.001", "0.002", "0.003"]),
        (1e-6, 2e-2, ["1e-06", "1e-05", "0.0001", "0.001", "0.01"]),
    ],
)
def test_where_few_labels_have_room_the_round_ones_stay(
    low: float, high: float, texts: list[str]
) -> None:
    assert log_ticks(low, high, most=6)["ticktext"] == texts


def test_families_have_colours_of_their_own() -> None:
    assert len({family_color(family) for family in families()}) == len(families())
    assert family_color("own") == family_color("own")


def test_labels_are_escaped() -> None:
    assert escape("a<b>&%{x}") == "a&lt;b&gt;&amp;%&#123;x}"


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10])
def test_short_curves_stay_as_they_are(count: int) -> None:
    assert list(thinned([1.0] * count, [], 10)) == list(range(count))


@pytest.mark.parametrize("most", [2, 3, 7, 50])
def test_ends_extremes_and_what_must_stay_are_kept(most: int) -> None:
    values = np.random.default_rng(0).normal(size=1000)
    kept = np.asarray(thinned(values.tolist(), [17, 500], most))
    assert len(kept) <= most + 4
    assert {0, 17, 500, 999} <= set(kept.tolist())
    inside = values[1:-1]
    assert {inside.argmin() + 1, inside.argmax() + 1} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


@pytest.mark.parametrize("family", families())
def test_schedules_look_the_same(family: str) -> None:
    schedule = build(family, **({"sigma_max": 3.0} if family == "blur" else {}))
    progress = np.linspace(0, 1, 201)
    start = schedule.level(0.0) or 1.0
    level = np.array([schedule.level(float(p)) / start for p in progress])
    kept = thinned_evenly(progress.tolist(), level.tolist())
    assert np.abs(np.interp(progress, progress[kept], level[kept]) - level).max() <= 0.004
    assert len(kept) < 120
