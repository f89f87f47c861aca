import math

import pytest

from mollitune.schedules import Choice, Float, Linear, Polynomial, curve_distance, shape_features


@pytest.mark.parametrize(
    ("power", "progress", "level"),
    [
        (2.0, 0.0, 1.0),
        (2.0, 0.25, 0.5625),
        (2.0, 0.5, 0.25),
        (2.0, 1.0, 0.0),
        (0.5, 0.75, 0.5),  # sqrt(1/4)
        (0.25, 15 / 16, 0.5),  # the fourth root of 1/16
        (8.0, 0.5, 1 / 256),
    ],
)
def test_values(power: float, progress: float, level: float) -> None:
    assert Polynomial(power=power).level(progress) == pytest.approx(level, rel=1e-15)


def test_default_is_the_square() -> None:
    assert Polynomial() == Polynomial(power=2, until=1, peak=1, floor=0)


@pytest.mark.parametrize("power", [0.25, 1.0, 2.0, 4.0, 8.0])
def test_mean_level(power: float) -> None:
    area = shape_features(Polynomial(power=power))["area"]
    assert area == pytest.approx(1.0 / (power + 1.0), abs=1e-6)


def test_power_one_is_linear() -> None:
    assert curve_distance(Polynomial(power=1, until=0.7), Linear(until=0.7)) == 0.0


@pytest.mark.parametrize("power", [1e-300, 1e-3, 1e3, 1e300])
def test_extreme_powers_run_from_one_to_zero(power: float) -> None:
    schedule = Polynomial(power=power)
    assert schedule.h(0.0) == 1.0
    assert 0.0 <= schedule.h(0.5) <= 1.0
    assert schedule.h(1.0) == 0.0


@pytest.mark.parametrize(
    ("power", "message"),
    [
        (0.0, r"power must be > 0, got 0.0"),
        (-1, r"power must be > 0, got -1.0"),
        (math.nan, r"power must be a finite number, got nan"),
        (True, r"power must be a number, got True"),
    ],
)
def test_illegal_powers_are_rejected(power: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Polynomial(power=power)


def test_search_space() -> None:
    expected: dict[str, Float | Choice] = {
        "power": Float(0.25, 8.0, log=True),
        "until": Float(0.1, 0.9),
    }
    assert Polynomial.search_space(32) == expected
