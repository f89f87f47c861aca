import math
import random

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from mollitune.schedules import Knots, Linear

NAMES = ["w1", "w2", "w3", "w4", "w5"]


def knots(*logits: float) -> Knots:
    return Knots(**dict(zip(NAMES, logits, strict=True)))


def test_all_zero_is_linear() -> None:
    assert Knots() == knots(0, 0, 0, 0, 0)
    for i in range(1025):
        assert Knots().h(i / 1024) == pytest.approx(Linear().h(i / 1024), abs=2e-16)


def test_values_by_hand() -> None:
    # Weights 4, 2, 1, 1, 1, 1 of 10 in all: drops in the ratios of the exponentials.
    schedule = knots(math.log(4), math.log(2), 0, 0, 0)
    levels = [schedule.level(i / 6) for i in range(7)]
    assert levels == pytest.approx([1.0, 0.6, 0.4, 0.3, 0.2, 0.1, 0.0], abs=1e-15)
    # Falls per interval 1.5 x .4 - .5 x .2 = .5 at the start and the harmonic mean
    # 2 x .4 x .2 / .6 = 4/15 after it. Midway in a cubic Hermite piece the value is the mean of
    # its ends and an eighth of the difference of the slopes.
    expected = (1.0 + 0.6) / 2.0 + (4 / 15 - 0.5) / 8.0
    assert schedule.level(1 / 12) == pytest.approx(expected, rel=1e-14)


def test_agrees_with_pchip_of_scipy() -> None:
    rng = random.Random(0)
    for _ in range(20):
        logits = [rng.uniform(-3.0, 3.0) for _ in NAMES]
        weights = np.exp([*logits, 0.0])
        values = 1.0 - np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
        grid = np.linspace(0.0, 1.0, 601)
        expected = PchipInterpolator(np.arange(7) / 6, values)(grid)
        actual = [knots(*logits).h(q) for q in grid.tolist()]
        np.testing.assert_allclose(actual, expected, rtol=0.0, atol=1e-14)
