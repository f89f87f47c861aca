import itertools
import math

import pytest

from mollitune.schedules import Choice, Exponential, Float, Linear, shape_features

LN2 = math.log(2.0)


@pytest.mark.parametrize(
    ("rate", "progress", "level"),
    [
        (2 * LN2, 0.0, 1.0),
        (2 * LN2, 0.5, 1 / 3),  # (1/2 - 1/4) / (1 - 1/4)
        (2 * LN2, 1.0, 0.0),
        (-2 * LN2, 0.5, 2 / 3),  # (2 - 4) / (1 - 4)
        (4 * LN2, 0.25, 7 / 15),  # (1/2 - 1/16) / (1 - 1/16)
        (4 * LN2, 0.75, 1 / 15),  # (1/8 - 1/16) / (1 - 1/16)
    ],
)
def test_values(rate: float, progress: float, level: float) -> None:
    assert Exponential(rate=rate).level(progress) == pytest.approx(level, rel=1e-14)


def test_default_rate_is_three() -> None:
    assert Exponential() == Exponential(rate=3, until=1, peak=1, floor=0)


@pytest.mark.parametrize("rate", [-5.0, -0.5, 0.5, 3.0, 5.0, 10.0, 50.0])
def test_mean_level(rate: float) -> None:
    area = shape_features(Exponential(rate=rate))["area"]
    assert area == pytest.approx(1.0 / rate - 1.0 / math.expm1(rate), abs=1e-6)


def test_mean_level_at_rate_five() -> None:
    assert shape_features(Exponential(rate=5))["area"] == pytest.approx(0.193, abs=5e-4)


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("rate", [0.0, 5e-324, 1e-300, 1e-17, 1.1e-16, 1e-12, 1e-6, 1e-3])
def test_rate_tends_to_the_straight_line_from_both_sides(rate: float, q: float) -> None:
    # To first order in k the curve is (1 - q)(1 - k q / 2).
    for k in (rate, -rate):
        expected = (1.0 - q) * (1.0 - 0.5 * k * q)
        assert Exponential(rate=k).h(q) == pytest.approx(expected, abs=1e-15 + 0.1 * k**2)
    assert Exponential(rate=0).h(q) == Linear().h(q)


@pytest.mark.parametrize("rate", [0.3, 3.0, 50.0])
def test_the_opposite_rate_is_the_mirrored_curve(rate: float) -> None:
    for q in (0.0, 0.1, 0.4, 0.5, 0.9, 1.0):
        mirrored = 1.0 - Exponential(rate=rate).h(1.0 - q)
        assert Exponential(rate=-rate).h(q) == pytest.approx(mirrored, abs=1e-14)


@pytest.mark.parametrize("rate", [-1e308, -1000.0, -50.0, 50.0, 1000.0, 1e308])
def test_extreme_rates_stay_bounded_and_monotone(rate: float) -> None:
    levels = [Exponential(rate=rate).h(i / 1024) for i in range(1025)]
    assert (levels[0], levels[-1]) == (1.0, 0.0)
    assert all(0.0 <= b <= a for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (math.nan, r"rate must be a finite number, got nan"),
        (-math.inf, r"rate must be a finite number, got -inf"),
        ("3", r"rate must be a number, got '3'"),
    ],
)
def test_illegal_rates_are_rejected(rate: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Exponential(rate=rate)


def test_search_space() -> None:
    expected: dict[str, Float | Choice] = {"rate": Float(-5.0, 10.0), "until": Float(0.1, 0.9)}
    assert Exponential.search_space(32) == expected
