import itertools
import math
import random
import statistics

import pytest

from mollitune.schedules import Choice, Float


def test_draws_stay_inside_and_repeat_with_the_seed() -> None:
    for space in (Float(-6, 1), Float(0.3, 4, log=True), Float(0.1, 0.3, True)):
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


def test_logarithmic_draws_do_not_round_past_the_bounds() -> None:
    # exp(log(v)) misses v by a rounding error for most of these bounds.
    for upper, i in itertools.product((False, True), range(1, 100)):
        space = Float(0.07 * i, 0.07 * i + 5.3, log=True)
        assert space.low <= space.sample(Edge(upper)) <= space.high


def test_choice_draws_every_option() -> None:
    space, rng = Choice(("sine", "linear", "log")), random.Random(0)
    assert {space.sample(rng) for _ in range(100)} == set(space.options)


def test_illegal_ranges_are_rejected() -> None:
    for interval, message in (
        ((1.0, 1.0), r"high must be above low = 1.0, got 1.0"),
        ((math.nan, 1.0), r"low must be a finite number, got nan"),
        ((0.0, math.inf), r"high must be a finite number, got inf"),
        ((0.0, 1.0, True), r"low must be > 0 on a logarithmic scale, got 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            Float(*interval)
    for options in ((), ("a", "b", "a")):
        with pytest.raises(ValueError, match=r"options must be distinct, at least one, got \("):
            Choice(options)
