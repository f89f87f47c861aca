import math
from dataclasses import dataclass

import pytest

from mollitune.schedules import (
    Blur,
    Cosine,
    CosineShift,
    Exponential,
    Knots,
    Linear,
    Polynomial,
    Schedule,
    Sigmoid,
    Vanilla,
    curve_distance,
)


def test_the_same_curve_in_other_parameters() -> None:
    for a, b in (
        (Linear(until=0.5), Polynomial(power=1, until=0.5)),
        (Linear(until=0.3), Exponential(rate=0, until=0.3)),
        (Linear(), Knots()),
        (Cosine(until=0.7), CosineShift(until=0.7)),
        (Sigmoid(start=-1, end=3, tau=1), Sigmoid(start=-2, end=6, tau=2)),
        (Blur(sigma_max=0.3, curve="log"), Blur(sigma_max=0.3, curve="linear")),
        (Vanilla(), Vanilla()),
    ):
        assert curve_distance(a, b) < 1e-15
        assert curve_distance(a, a) == 0.0


def test_against_the_integral() -> None:
    cases: list[tuple[Schedule, Schedule, float]] = [
        # (1 - p)^2 has a mean of 1/3.
        (Linear(), Vanilla(), math.sqrt(1 / 3)),
        # The difference is p (1 - p), its square has a mean of 1/30.
        (Linear(), Polynomial(power=2), math.sqrt(1 / 30)),
        # (1/2 - p - cos(pi p) / 2)^2 has a mean of 1/12 + 1/8 - 2 / pi^2.
        (Linear(), Cosine(), math.sqrt(1 / 12 + 1 / 8 - 2 / math.pi**2)),
        # Half of the height over half of the time.
        (Linear(until=0.5), Linear(until=0.5, peak=0.5), math.sqrt(0.25 * 0.5 / 3)),
        # Constant noise for a quarter of the time longer.
        (
            Linear(peak=0.2, floor=0.2, until=0.5),
            Linear(peak=0.2, floor=0.2, until=0.75),
            0.2 * math.sqrt(0.25),
        ),
        (Blur(sigma_max=8, curve="linear"), Blur(sigma_max=5, curve="linear"), math.sqrt(9 / 3)),
        (Blur(sigma_max=6, curve="linear", noise=0), Vanilla(), math.sqrt(36 / 3)),
        (Blur(sigma_max=6, noise=0.4), Blur(sigma_max=6, noise=0.1), 0.3),
        (Blur(sigma_max=6, noise=0.4, until=0.25), Blur(sigma_max=6, noise=0, until=0.25), 0.2),
    ]
    for a, b, distance in cases:
        # The midpoint rule on 64 points errs by 1e-4 and less on these curves.
        assert curve_distance(a, b) == pytest.approx(distance, rel=2e-4)
        assert curve_distance(b, a) == curve_distance(a, b)


def test_noise_and_blur_are_never_the_same() -> None:
    assert curve_distance(Linear(), Blur(sigma_max=1, curve="linear", noise=0)) == math.inf
    assert curve_distance(Blur(sigma_max=1e-300, noise=0), Linear(peak=1e-300)) == math.inf


def test_a_derived_class_is_of_its_parents_kind() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Softer(Blur):
        pass

    assert curve_distance(Softer(sigma_max=4), Blur(sigma_max=4)) == 0.0


def test_a_distance_that_squares_would_overflow_is_finite() -> None:
    assert 1e299 < curve_distance(Blur(sigma_max=1e300), Vanilla()) < 1e300
