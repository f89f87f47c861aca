import math
import random

import numpy as np
import pytest

from mollitune.schedules import (
    EDM,
    Blur,
    Cosine,
    CosineShift,
    Exponential,
    Knots,
    Linear,
    Mollifier,
    Polynomial,
    Schedule,
    Sigmoid,
    Vanilla,
    build,
    families,
    lookup,
    shape_features,
)

KEYS = [
    "area",
    "half_life",
    "clean_share",
    "share_above_tenth",
    "share_below_hundredth",
    "end_slope",
]


def test_closed_forms() -> None:
    cases: list[tuple[Schedule, list[float]]] = [
        (Vanilla(), [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
        (Linear(), [0.5, 0.5, 0.0, 0.9, 0.01, 1.0]),
        (Linear(until=0.4), [0.2, 0.2, 0.6, 0.36, 0.604, 2.5]),
        (Linear(until=0.4, peak=0.3), [0.2, 0.2, 0.6, 0.36, 0.604, 2.5]),
        # l = 0.2 + 0.8 (1 - q): half at q = 5/8, never down to a tenth
        (Linear(until=0.5, peak=0.5, floor=0.1), [0.3, 0.3125, 0.5, 0.5, 0.5, 1.6]),
        # constant noise to the end
        (Linear(peak=0.1, floor=0.1), [1.0, 1.0, 0.0, 1.0, 0.0, 0.0]),
        # cos^2(pi q / 2) = c at q = 2 acos(sqrt(c)) / pi
        (
            Cosine(until=0.8),
            [
                0.4,
                0.4,
                0.2,
                1.6 * math.acos(math.sqrt(0.1)) / math.pi,
                1.0 - 1.6 * math.acos(0.1) / math.pi,
                0.0,
            ],
        ),
        (Blur(sigma_max=8, curve="linear"), [0.5, 0.5, 0.0, 0.9, 0.01, 1.0]),
        # (1 - q)^2: half at 1 - sqrt(1/2), a hundredth at 9/10
        (
            Polynomial(until=0.5),
            [1 / 6, 0.5 - math.sqrt(0.125), 0.5, 0.5 - 0.5 * math.sqrt(0.1), 0.55, 0.0],
        ),
    ]
    for schedule, values in cases:
        features = shape_features(schedule)
        assert list(features) == KEYS
        assert list(features.values()) == pytest.approx(values, abs=1e-8)
        assert {type(value) for value in features.values()} == {float}


def test_sigmoid_against_the_integral_and_the_derivative() -> None:
    # With s' = s (1 - s) and the antiderivative log(1 + e^u), u = q e / tau, b = 0.
    u, until = 3.0 / 0.7, 0.6
    s = 1.0 / (1.0 + math.exp(-u))
    area = (s - (math.log1p(math.exp(u)) - math.log(2.0)) / u) / (s - 0.5)
    features = shape_features(Sigmoid(until=until))
    assert features["area"] == pytest.approx(until * area, abs=1e-7)
    assert features["end_slope"] == pytest.approx(u * s * (1 - s) / (s - 0.5) / until, rel=1e-4)


def test_crossings_lie_where_the_level_says() -> None:
    for schedule in (Sigmoid(until=0.6), Cosine(tau=3), Blur(sigma_max=4)):
        features, level = shape_features(schedule), schedule.level
        for share, at in (
            (0.5, features["half_life"]),
            (0.1, features["share_above_tenth"]),
            (0.01, 1.0 - features["share_below_hundredth"]),
        ):
            assert level(at + 1e-9) <= share * level(0.0) < level(at - 1e-9)


def mean_on_a_dense_grid(schedule: Schedule) -> float:
    """Gauss-Legendre quadrature on intervals that narrow towards both ends of the phase."""
    last = math.nextafter(schedule.until, 0.0)
    ends = {2.0**-k for k in range(1, 45)}
    edges = np.array(sorted({i / 48 for i in range(49)} | ends | {1.0 - end for end in ends}))
    nodes, weights = np.polynomial.legendre.leggauss(12)
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    grid = np.minimum(schedule.until * (middle[:, None] + half[:, None] * nodes), last)
    levels = np.array([schedule.level(p) for p in grid.flat]).reshape(grid.shape)
    return schedule.until * float(half @ levels @ weights) / schedule.level(0.0)


EXTREMES = [
    Polynomial(power=0.25),
    Polynomial(power=0.01, until=0.9),
    Polynomial(power=100),
    Exponential(rate=-50),
    Exponential(rate=1000),
    CosineShift(shift=1e-3),
    CosineShift(shift=1e3),
    EDM(rho=1),
    EDM(rho=100, sigma_max=1e4),
    Knots(w1=-3, w2=3, w3=-3, w4=3, w5=-3),
    Knots(w5=30),
    Cosine(tau=0.01),
    Cosine(tau=1e3),
    Sigmoid(tau=0.01),
    Sigmoid(start=-1, end=1, tau=0.01, peak=0.5, floor=0.1),
    Blur(sigma_max=1e6, curve="log"),
]


def test_area_of_extreme_curves() -> None:
    for schedule in EXTREMES:
        area = shape_features(schedule)["area"]
        assert area == pytest.approx(mean_on_a_dense_grid(schedule), abs=1e-6), schedule


@pytest.mark.parametrize("family", [family for family in families() if family != "vanilla"])
def test_area_over_the_search_space(family: str) -> None:
    cls, rng = lookup(family), random.Random(2)
    for _ in range(8):
        schedule = cls.from_point({k: v.sample(rng) for k, v in cls.search_space(32).items()})
        area = shape_features(schedule)["area"]
        assert area == pytest.approx(mean_on_a_dense_grid(schedule), abs=1e-6)


def test_few_evaluations_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    original = Mollifier.level

    def counting(schedule: Mollifier, progress: float) -> float:
        asked.append(progress)
        return original(schedule, progress)

    monkeypatch.setattr(Mollifier, "level", counting)
    for family in families():
        shape_features(Blur(sigma_max=4) if family == "blur" else build(family))
        assert (family != "vanilla") <= len(asked) <= 300
        asked.clear()


def test_a_step_is_described_without_trouble() -> None:
    features = shape_features(Sigmoid(start=-1, end=1, tau=1e-300, until=0.5))
    assert features["area"] == pytest.approx(0.25, abs=1e-3)
    assert features["half_life"] == pytest.approx(0.25, abs=1e-12)
    assert features["end_slope"] == 0.0
    for value in shape_features(Blur(sigma_max=1e-300)).values():
        assert math.isfinite(value)
