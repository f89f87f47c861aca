import itertools
import math
import random

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from mollitune.schedules import Choice, Float, Knots, Linear

NAMES = ["w1", "w2", "w3", "w4", "w5"]


def knots(*logits: float) -> Knots:
    return Knots(**dict(zip(NAMES, logits, strict=True)))


def test_all_zero_is_linear() -> None:
    assert Knots() == knots(0, 0, 0, 0, 0)
    for i in range(1025):
        assert Knots().h(i / 1024) == pytest.approx(Linear().h(i / 1024), abs=2e-16)


def test_drops_are_in_the_ratios_of_the_exponentials() -> None:
    # Weights 4, 2, 1, 1, 1, 1 of 10 in all.
    schedule = knots(math.log(4), math.log(2), 0, 0, 0)
    levels = [schedule.level(i / 6) for i in range(7)]
    assert levels == pytest.approx([1.0, 0.6, 0.4, 0.3, 0.2, 0.1, 0.0], abs=1e-15)


def test_a_value_between_the_knots_by_hand() -> None:
    # Drops .4, .2, .1, ...: falls per interval 1.5 x .4 - .5 x .2 = .5 at the start and the
    # harmonic mean 2 x .4 x .2 / .6 = 4/15 after it. Midway in a cubic Hermite piece the value is
    # the mean of its ends and an eighth of the difference of the slopes.
    schedule = knots(math.log(4), math.log(2), 0, 0, 0)
    expected = (1.0 + 0.6) / 2.0 + (4 / 15 - 0.5) / 8.0
    assert schedule.level(1 / 12) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_pchip_of_scipy(seed: int) -> None:
    rng = random.Random(seed)
    logits = [rng.uniform(-3.0, 3.0) for _ in NAMES]
    weights = np.exp([*logits, 0.0])
    values = 1.0 - np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
    grid = np.linspace(0.0, 1.0, 601)
    expected = PchipInterpolator(np.arange(7) / 6, values)(grid)
    actual = [knots(*logits).h(q) for q in grid.tolist()]
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize(
    "logits",
    [
        (-3, 3, -3, 3, -3),
        (3, -3, -3, -3, 3),
        (3, -3, -3, -3, -3),  # the parabola at the end would turn around
        (-3, -3, -3, -3, -3),
        (1e308, -1e308, 0, 0, 0),  # one step
        (-1e308, -1e308, -1e308, -1e308, -1e308),
        (800, 0, 0, 800, 0),  # flat in between, and exp(800) overflows
    ],
)
def test_bounded_and_monotone(logits: tuple[float, ...]) -> None:
    levels = [knots(*logits).h(i / 6144) for i in range(6145)]
    assert (levels[0], levels[-1]) == (1.0, 0.0)
    assert all(0.0 <= b <= a + 1e-15 for a, b in itertools.pairwise(levels))


def test_curve_has_no_corner_at_the_knots() -> None:
    schedule, step = knots(2, -1, 3, -2, 1), 1e-6
    for i in range(1, 6):
        before, at, after = (schedule.h(i / 6 + k * step) for k in (-1, 0, 1))
        assert before - at == pytest.approx(at - after, abs=1e-9)


def test_every_weight_moves_the_curve_at_its_own_place() -> None:
    for i, name in enumerate(NAMES):
        raised = Knots(**{name: 1.0})
        drops = [raised.h(j / 6) - raised.h((j + 1) / 6) for j in range(6)]
        assert drops.index(max(drops)) == i


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf, "0", None])
def test_illegal_weights_are_rejected(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be a (finite )?number, got"):
        Knots(**{name: value})


def test_search_space() -> None:
    expected: dict[str, Float | Choice] = {name: Float(-3.0, 3.0) for name in NAMES}
    assert Knots.search_space(32) == {**expected, "until": Float(0.1, 0.9)}
