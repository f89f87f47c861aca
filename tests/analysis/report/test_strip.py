import math
from xml.etree import ElementTree

import pytest

from mollitune.analysis.report.strip import (
    Scale,
    axis,
    bar,
    dot,
    interval,
    scale_of,
    strip,
    upright,
)


def test_places_are_shares_of_the_width() -> None:
    scale = Scale(-10, 30)
    assert [scale.at(v) for v in (-10, 0, 30)] == ["0.00%", "25.00%", "100.00%"]
    assert [scale.at(v) for v in (-99, 99)] == ["0.00%", "100.00%"]
    assert [scale.holds(v) for v in (-11, -10, 0, 30, 31)] == [False, True, True, True, False]


@pytest.mark.parametrize(
    "values", [[], [0.0], [5.0], [-3.0, 4.0], [1e-9], [math.nan, -2.0], [1e6, -1e-3]]
)
def test_scale_holds_zero_and_all_values_and_has_ticks(values: list[float]) -> None:
    scale = scale_of(values)
    assert scale.low < scale.high
    assert all(scale.holds(v) for v in (0.0, *values) if not math.isnan(v))
    ticks = scale.ticks()
    assert 3 <= len(ticks) <= 8
    assert all(scale.holds(tick) for tick in ticks)


def test_value_outside_is_an_arrow_at_its_end() -> None:
    scale = Scale(0, 10)
    assert "circle" in dot(scale, 5)
    assert 'x="100.00%"' in dot(scale, 11)
    assert "\N{RIGHTWARDS ARROW}" in dot(scale, 11)
    assert "\N{LEFTWARDS ARROW}" in dot(scale, -1)


@pytest.mark.parametrize(("low", "high", "caps"), [(1, 9, 2), (-5, 9, 1), (-5, 50, 0)])
def test_interval_that_goes_on_outside_has_no_cap_there(
    low: float, high: float, caps: int
) -> None:
    assert interval(Scale(0, 10), low, high).count("<line") == 1 + caps


def test_drawing_is_well_formed_and_escaped() -> None:
    scale = Scale(-1, 1)
    shapes = (upright(scale, 0, "zero"), interval(scale, -2, 0.5), dot(scale, 0), bar(scale, 1))
    drawn = ElementTree.fromstring(strip('a "<b>" & c', "none", *shapes))
    assert drawn.get("aria-label") == 'a "<b>" & c'
    labels = ElementTree.fromstring(axis(scale, " %"))
    assert "\N{MINUS SIGN}0.5 %" in [label.text for label in labels]
