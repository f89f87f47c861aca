import math

import plotly.graph_objects as go
import pytest

from mollitune.analysis.report.data import ShapePoint
from mollitune.analysis.report.figures.palette import family_color
from mollitune.analysis.report.figures.shape import MANY, setting_figure, shape_figure
from mollitune.schedules import Choice, Float

LINEAR = ShapePoint(
    1, "linear", "linear(<b>)", 0.2, [1, 4], [7, 8], [20.0, 24.0], 22.0, 19.0, 25.0
)
VANILLA = ShapePoint(0, "vanilla", "vanilla", 0.0, [0], [7], [30.0], 29.0, math.nan, math.nan)
BLUR = ShapePoint(2, "blur", "blur", 0.3, [2], [7], [26.0], 26.0, 1.0, 700.0)


def drawn(figure: go.Figure, symbol: str | None) -> dict[str, go.Scatter]:
    """Traces of the dots or of the diamonds, by family."""
    found = [t for t in figure.data if t.customdata and t.marker.symbol == symbol]
    return {trace.legendgroup: trace for trace in found}


def test_a_dot_per_run_and_a_diamond_with_interval_per_configuration() -> None:
    figure = shape_figure([LINEAR, VANILLA], winner=1)
    dots, diamonds = drawn(figure, None), drawn(figure, "diamond")
    assert list(dots) == list(diamonds) == ["vanilla", "linear"]
    assert (dots["linear"].x, dots["linear"].y) == ((0.2, 0.2), (20.0, 24.0))
    assert (diamonds["linear"].x, diamonds["linear"].y) == ((0.2,), (22.0,))
    assert dots["linear"].marker.color == family_color("linear")
    bars = diamonds["linear"].error_y
    assert (bars.array, bars.arrayminus) == ((3.0,), (3.0,))
    assert diamonds["vanilla"].error_y.array == (0.0,)
    assert diamonds["linear"].marker.size[0] > diamonds["vanilla"].marker.size[0]
    # a click has a trial
    assert dots["linear"].customdata == (1, 4)
    assert diamonds["linear"].customdata == (1,)  # 20 is the better of two
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert names == ["vanilla", "linear", "one run", "expected, 90 % interval"]
    # and an interval is promised only where there is one
    keys = [trace.name for trace in shape_figure([VANILLA]).data if not trace.legendgroup]
    assert keys[:2] == ["one run", "expected"]


def test_hover_texts_tell_run_seed_and_interval() -> None:
    figure = shape_figure([LINEAR])
    dots, diamonds = drawn(figure, None), drawn(figure, "diamond")
    assert dots["linear"].text[1] == (
        "trial 4, seed 8: FID 24.00<br>configuration 1: linear(&lt;b&gt;)"
    )
    assert diamonds["linear"].text[0] == (
        "expected FID 22.00 after 2 runs<br>90 % interval 19.00 to 25.00<br>"
        "configuration 1: linear(&lt;b&gt;)"
    )


def test_axis_holds_all_values_but_not_every_interval() -> None:
    low, high = shape_figure([LINEAR, BLUR]).layout.yaxis.range
    assert 10 < 10**low < 19
    assert 26 < 10**high < 40


def test_of_many_only_the_best_and_the_winner_have_intervals() -> None:
    points = [
        LINEAR._replace(configuration=i, expected=20.0 + i, low=19.0 + i, high=21.0 + i)
        for i in range(MANY + 1)
    ]
    traces = [t for t in shape_figure(points, winner=30).data if t.marker.symbol == "diamond"]
    with_bars = [y for t in traces if t.error_y.array for y in t.y]
    without = [y for t in traces if t.customdata and not t.error_y.array for y in t.y]
    assert with_bars == [20.0 + i for i in [*range(10), 30]]
    assert sorted(with_bars + without) == [point.expected for point in points]


def test_a_hyperparameter_has_the_axis_that_it_was_searched_on() -> None:
    points = [
        point._replace(settings={"lr": lr})
        for point, lr in ((LINEAR, 1e-3), (VANILLA, 1e-2), (BLUR, 3e-3))
    ]
    figure = setting_figure(points, "lr", Float(1e-4, 1e-1, log=True), winner=1)
    places = {family: trace.x for family, trace in drawn(figure, "diamond").items()}
    assert places == {"linear": (1e-3,), "vanilla": (1e-2,), "blur": (3e-3,)}
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.xaxis.range == pytest.approx([-3.05, -1.95])
    figure = setting_figure(points, "lr", Float(0.0, 1e-1))
    assert figure.layout.xaxis.type is None
    dots, diamonds = drawn(figure, None), drawn(figure, "diamond")
    assert (dots["linear"].x, dots["linear"].y) == ((1e-3, 1e-3), (20.0, 24.0))
    assert diamonds["vanilla"].marker.color == family_color("vanilla")


def test_alternatives_have_a_place_each_and_families_are_side_by_side_there() -> None:
    points = [
        point._replace(settings={"hparams.size": size})
        for point, size in ((LINEAR, 64.0), (VANILLA, 128.0), (BLUR, 64.0))
    ]
    figure = setting_figure(points, "hparams.size", Choice((32, 64, 128)))
    axis = figure.layout.xaxis
    assert (axis.type, axis.categoryarray) == ("category", ("32", "64", "128"))
    assert (axis.range, axis.title.text) == ((-0.5, 2.5), "size")
    diamonds = drawn(figure, "diamond")
    assert {family: trace.x for family, trace in diamonds.items()} == {
        "linear": ("64",),
        "vanilla": ("128",),
        "blur": ("64",),
    }
    assert figure.layout.scattermode == "group"
    assert {trace.offsetgroup for trace in figure.data} == {"linear", "vanilla", "blur"}
