import math

import pytest

from mollitune.schedules import Linear


@pytest.mark.parametrize(
    ("progress", "level"),
    [(0.0, 0.9), (0.25, 0.5), (0.375, 0.3), (math.nextafter(0.5, 0.0), 0.1), (0.5, 0.0), (1, 0.0)],
)
def test_straight_line_from_peak_to_floor(progress: float, level: float) -> None:
    schedule = Linear(until=0.5, peak=0.9, floor=0.1)
    assert schedule.level(progress) == pytest.approx(level, abs=1e-15)


def test_floor_at_peak_is_constant_noise() -> None:
    schedule = Linear(peak=0.01, floor=0.01)
    assert {schedule.level(i / 1000) for i in range(1000)} == {0.01}
    assert schedule.level(1.0) == 0.0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"peak": 0.0}, r"peak must be in \(0, 1\], got 0.0"),
        ({"peak": 1.01}, r"peak must be in \(0, 1\], got 1.01"),
        ({"peak": math.nan}, r"peak must be a finite number, got nan"),
        ({"floor": -0.01}, r"floor must be in \[0, peak=1.0\], got -0.01"),
        ({"peak": 0.5, "floor": 0.51}, r"floor must be in \[0, peak=0.5\], got 0.51"),
        ({"floor": True}, r"floor must be a number, got True"),
    ],
)
def test_illegal_peak_and_floor_are_rejected(params: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Linear(**params)


def test_only_until_is_searched() -> None:
    assert list(Linear.search_space(32)) == ["until"]
