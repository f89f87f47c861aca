import math

import pytest

from mollitune.schedules import Blur, Cosine, Linear, Schedule, Sigmoid, Vanilla, shape_features

KEYS = ["area", "half_life", "clean_share", "share_above_tenth", "end_slope"]


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Vanilla(), [0.0, 0.0, 1.0, 0.0, 0.0]),
        (Linear(), [0.5, 0.5, 0.0, 0.9, 1.0]),
        (Linear(until=0.4), [0.2, 0.2, 0.6, 0.36, 2.5]),
        (Linear(until=0.4, peak=0.3), [0.2, 0.2, 0.6, 0.36, 2.5]),
        # l = 0.2 + 0.8 (1 - q): half at q = 5/8, never down to a tenth
        (Linear(until=0.5, peak=0.5, floor=0.1), [0.3, 0.3125, 0.5, 0.5, 1.6]),
        # constant noise to the end
        (Linear(peak=0.1, floor=0.1), [1.0, 1.0, 0.0, 1.0, 0.0]),
        # cos^2(pi q / 2) = 1/10 at q = 2 acos(sqrt(1/10)) / pi
        (Cosine(until=0.8), [0.4, 0.4, 0.2, 1.6 * math.acos(math.sqrt(0.1)) / math.pi, 0.0]),
        (Blur(sigma_max=8, curve="linear"), [0.5, 0.5, 0.0, 0.9, 1.0]),
    ],
)
def test_closed_forms(schedule: Schedule, values: list[float]) -> None:
    features = shape_features(schedule)
    assert list(features) == KEYS
    assert list(features.values()) == pytest.approx(values, abs=1e-8)


def test_sigmoid_against_the_integral_and_the_derivative() -> None:
    # With s' = s (1 - s) and the antiderivative log(1 + e^u), u = q e / tau, b = 0.
    u, until = 3.0 / 0.7, 0.6
    s = 1.0 / (1.0 + math.exp(-u))
    area = (s - (math.log1p(math.exp(u)) - math.log(2.0)) / u) / (s - 0.5)
    features = shape_features(Sigmoid(until=until))
    # The trapezoidal rule on 2,048 intervals errs by h^2 / 12 times the change of slope.
    assert features["area"] == pytest.approx(until * area, abs=2e-7)
    assert features["end_slope"] == pytest.approx(u * s * (1 - s) / (s - 0.5) / until, rel=1e-4)


@pytest.mark.parametrize("schedule", [Sigmoid(until=0.6), Cosine(tau=3), Blur(sigma_max=4)])
def test_crossings_lie_where_the_level_says(schedule: Schedule) -> None:
    features = shape_features(schedule)
    for key, share in (("half_life", 0.5), ("share_above_tenth", 0.1)):
        at = features[key]
        assert schedule.level(at) <= share * schedule.level(0.0) < schedule.level(at - 1e-9)


def test_a_step_is_described_without_trouble() -> None:
    features = shape_features(Sigmoid(start=-1, end=1, tau=1e-300, until=0.5))
    assert features["area"] == pytest.approx(0.25, abs=1e-3)
    assert features["half_life"] == pytest.approx(0.25, abs=1e-12)
    assert features["end_slope"] == 0.0


@pytest.mark.parametrize("schedule", [Vanilla(), Sigmoid(), Blur(sigma_max=1e-300)])
def test_plain_finite_floats(schedule: Schedule) -> None:
    for value in shape_features(schedule).values():
        assert type(value) is float
        assert math.isfinite(value)
