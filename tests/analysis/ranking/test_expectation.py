import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from tests.search.policy.worlds import plain

from mollitune.analysis.ranking.expectation import Expectation, expectations
from mollitune.schedules import build
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.surrogate import MODELLED, ShapeSurrogate, expected_fid

Z = 1.6448536  # of 90 %, two-sided
FEW = plain(build("vanilla"), build("linear", until=0.5), build("cosine", until=0.5))
MANY = plain(*(build("linear", until=u) for u in np.linspace(0.1, 0.9, MODELLED)))


def expect(
    configurations: Sequence[Configuration | None], values: Sequence[Sequence[float]]
) -> list[Expectation]:
    return expectations(configurations, values, [[*range(len(own))] for own in values])


def test_few_configurations_are_worth_the_mean_over_their_seeds() -> None:
    found = expect(FEW, [[30.0], [20.0, 22.0], [25.0]])
    assert [e.fid for e in found] == expected_fid(FEW, [[30.0], [20.0, 22.0], [25.0]])
    assert [e.fid for e in found] == [30.0, 21.0, 25.0]


def test_interval_of_one_configuration_is_that_of_a_t_test_on_the_logarithm() -> None:
    values = [18.0, 20.0, 21.0, 25.0]
    (found,) = expect(FEW[1:2], [values])
    wanted = ttest_1samp(np.log(values), 0).confidence_interval(0.9)
    width = (wanted.high - wanted.low) / 2
    assert math.log(found.high / found.fid) == pytest.approx(width)
    assert math.log(found.fid / found.low) == pytest.approx(width)
    # of a mean of four the variance is a quarter of that of a run
    for end in (found.run_high, found.run_low):
        assert abs(math.log(end / found.fid)) == pytest.approx(width * math.sqrt(5))


def test_seeds_of_one_configuration_tell_about_the_others() -> None:
    twice, once = expect(FEW[:2], [[30.0, 33.0], [20.0]])
    assert math.log(once.high / once.fid) == pytest.approx(
        math.sqrt(2) * math.log(twice.high / twice.fid)
    )


def test_no_repeated_seed_no_interval() -> None:
    found = expect(FEW, [[30.0], [20.0], [25.0]])
    assert all(math.isnan(end) for _, *ends in found for end in ends)


def test_many_configurations_are_worth_what_the_surrogate_believes() -> None:
    values = [[20.0 + i, 21.0] for i in range(MODELLED)]
    found = expect(MANY, values)
    seeds = [[0, 1]] * MODELLED
    surrogate = ShapeSurrogate(MANY, values, seeds)
    belief = surrogate.tried()
    low, high = belief.interval(0.9)
    assert [e.fid for e in found] == expected_fid(MANY, values, seeds)
    assert [e.low for e in found] == list(low)
    assert [e.high for e in found] == list(high)
    spread = np.sqrt(belief.scale**2 + belief.level_scale**2 + surrogate.seed_scale**2)
    assert [e.run_high for e in found] == pytest.approx(list(belief.fid * np.exp(Z * spread)))
    assert [e.run_low for e in found] == pytest.approx(list(belief.fid * np.exp(-Z * spread)))


def test_schedule_that_cannot_be_built_leaves_the_means() -> None:
    values = [[20.0 + i] for i in range(MODELLED)]
    found = expect([None, *MANY[1:]], values)
    assert [e.fid for e in found] == [20.0 + i for i in range(MODELLED)]


def test_perfect_fid_does_not_break_the_logarithm() -> None:
    found = expect(FEW[:2], [[0.0, 2.0], [20.0]])
    assert [e.fid for e in found] == [1.0, 20.0]
