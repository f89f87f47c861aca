import math
import random
import statistics

import pytest

from mollitune.schedules import Choice, Float


@pytest.mark.parametrize("space", [Float(-6, 1), Float(0.3, 4, log=True), Float(0.1, 0.3, True)])
def test_draws_stay_inside_and_repeat_with_the_seed(space: Float) -> None:
    draws = [space.sample(random.Random(seed)) for seed in range(200)]
    assert all(space.low <= value <= space.high for value in draws)
    assert draws == [space.sample(random.Random(seed)) for seed in range(200)]
    assert len(set(draws)) == 200


def test_logarithmic_draws_are_uniform_in_the_logarithm() -> None:
    n, rng, space = 4000, random.Random(0), Float(1e-2, 1e2, log=True)
    mean = statistics.fmean(math.log10(space.sample(rng)) for _ in range(n))
    # A uniform law on [-2, 2] has a standard deviation of 4 / sqrt(12).
    assert abs(mean) < 5.0 * 4.0 / math.sqrt(12.0 * n)


class Edge(random.Random):
    """Draws one end of every interval."""

    def __init__(self, upper: bool) -> None:
        super().__init__(0)
        self.upper = upper

    def uniform(self, a: float, b: float) -> float:
        return b if self.upper else a


@pytest.mark.parametrize("upper", [False, True])
def test_logarithmic_draws_do_not_round_past_the_bounds(upper: bool) -> None:
    # exp(log(v)) misses v by a rounding error for most of these bounds.
    for i in range(1, 100):
        space = Float(0.07 * i, 0.07 * i + 5.3, log=True)
        assert space.low <= space.sample(Edge(upper)) <= space.high


def test_choice_draws_every_option() -> None:
    space, rng = Choice(("sine", "linear", "log")), random.Random(0)
    assert {space.sample(rng) for _ in range(100)} == set(space.options)


@pytest.mark.parametrize(
    ("low", "high", "log", "message"),
    [
        (1.0, 1.0, False, r"high must be above low = 1.0, got 1.0"),
        (2.0, 1.0, False, r"high must be above low = 2.0, got 1.0"),
        (math.nan, 1.0, False, r"low must be a finite number, got nan"),
        (0.0, math.inf, False, r"high must be a finite number, got inf"),
        (0.0, 1.0, True, r"low must be > 0 on a logarithmic scale, got 0.0"),
    ],
)
def test_illegal_intervals_are_rejected(low: float, high: float, log: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Float(low, high, log)


@pytest.mark.parametrize("options", [(), ("a", "b", "a")])
def test_illegal_options_are_rejected(options: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"options must be distinct, at least one, got \("):
        Choice(options)
