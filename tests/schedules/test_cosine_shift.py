import itertools
import math

import pytest

from mollitune.schedules import Choice, Cosine, CosineShift, Float, curve_distance, shape_features


@pytest.mark.parametrize(
    ("shift", "progress", "level"),
    [
        (0.25, 0.0, 1.0),
        (0.25, 0.5, 16 / 17),  # 1 / (1 + a^2), where sine and cosine are equal
        (4.0, 0.5, 1 / 17),
        (1.0, 2 / 3, 0.25),  # cos^2(pi/3)
        (3.0, 1 / 3, 0.25),  # cos^2 = 3/4, sin^2 = 1/4: 3 / (3 + 9)
        (4.0, 1.0, 0.0),
    ],
)
def test_values(shift: float, progress: float, level: float) -> None:
    assert CosineShift(shift=shift).level(progress) == pytest.approx(level, rel=1e-14)


@pytest.mark.parametrize(("shift", "area"), [(0.1, 1 / 1.1), (0.25, 0.8), (1, 0.5), (4, 0.2)])
def test_mean_level(shift: float, area: float) -> None:
    assert shape_features(CosineShift(shift=shift))["area"] == pytest.approx(area, abs=1e-6)


def test_matches_the_log_signal_to_noise_ratio_of_the_paper() -> None:
    schedule = CosineShift(shift=0.3)
    for q in (0.01, 0.2, 0.5, 0.8, 0.99):
        log_snr = -2.0 * math.log(math.tan(0.5 * math.pi * (1.0 - q))) + 2.0 * math.log(0.3)
        assert schedule.level(q) == pytest.approx(1.0 / (1.0 + math.exp(log_snr)), rel=1e-12)


def test_default_is_the_plain_cosine() -> None:
    assert CosineShift() == CosineShift(shift=1, until=1, peak=1, floor=0)
    assert curve_distance(CosineShift(until=0.6), Cosine(until=0.6)) < 1e-15


def test_the_inverse_shift_is_the_mirrored_curve() -> None:
    for q in (0.0, 0.1, 0.5, 0.7, 1.0):
        mirrored = 1.0 - CosineShift(shift=0.2).h(1.0 - q)
        assert CosineShift(shift=5).h(q) == pytest.approx(mirrored, abs=1e-15)


@pytest.mark.parametrize("shift", [1e-308, 1e-200, 1e-3, 1e3, 1e200, 1.7e308])
def test_extreme_shifts_stay_bounded_and_monotone(shift: float) -> None:
    levels = [CosineShift(shift=shift).h(i / 1024) for i in range(1025)]
    assert (levels[0], levels[-1]) == (1.0, 0.0)
    assert all(0.0 <= b <= a + 1e-15 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        (0.0, r"shift must be > 0, got 0.0"),
        (-2, r"shift must be > 0, got -2.0"),
        (math.inf, r"shift must be a finite number, got inf"),
        (None, r"shift must be a number, got None"),
    ],
)
def test_illegal_shifts_are_rejected(shift: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CosineShift(shift=shift)


def test_search_space() -> None:
    expected: dict[str, Float | Choice] = {
        "shift": Float(0.1, 10.0, log=True),
        "until": Float(0.1, 0.9),
    }
    assert CosineShift.search_space(32) == expected
