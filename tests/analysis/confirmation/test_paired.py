import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from mollitune.analysis import detectable, judge, paired_interval, seeds_needed
from mollitune.analysis.confirmation.judgement import KEPT_SHARE

FINITE = st.floats(-1e6, 1e6)


def t_of_two_degrees(upper: float) -> float:
    """The value of t that leaves so much above it, in closed form."""
    return (1 - 2 * upper) / math.sqrt(2 * upper * (1 - upper))


@pytest.mark.parametrize(("comparisons", "level"), [(1, 0.95), (4, 0.95), (6, 0.96), (3, 0.5)])
def test_worked_by_hand(comparisons: int, level: float) -> None:
    interval = paired_interval([1.0, 2.0, 3.0], comparisons, level)
    half = t_of_two_degrees((1 - level) / (2 * comparisons)) / math.sqrt(3)  # sd 1, three seeds
    assert interval == pytest.approx((2, 2 - half, 2 + half))


def test_same_as_scipy() -> None:
    values = [-14.2, -9.1, -17.7, -11.0, -12.9]
    low, high = ttest_1samp(values, 0).confidence_interval(1 - 0.05 / 6)
    assert paired_interval(values, 6) == pytest.approx((np.mean(values), low, high))


def test_one_seed_and_differences_that_are_all_alike_show_no_spread() -> None:
    assert paired_interval([3.0]) is None
    assert paired_interval([]) is None
    assert paired_interval([-2.0, -2.0]) == (-2, -2, -2)


@given(st.lists(FINITE, min_size=2, max_size=6), FINITE, st.floats(0.1, 10))
def test_moves_and_stretches_with_the_data(
    values: list[float], shift: float, factor: float
) -> None:
    before = paired_interval(values, 3)
    after = paired_interval([factor * value + shift for value in values], 3)
    assert before is not None
    assert after is not None
    scale = max(map(abs, [*values, shift])) * 10 + 1
    for old, new in zip(before, after, strict=True):
        # t of one degree is 38 here, and enlarges what rounding does to the spread
        assert new == pytest.approx(factor * old + shift, abs=1e-8 * scale)


@given(st.lists(FINITE, min_size=2, max_size=6))
def test_wider_for_more_comparisons_and_a_higher_level(
    values: list[float],
) -> None:
    narrow = paired_interval(values)
    assert narrow is not None
    for wide in (paired_interval(values, 2), paired_interval(values, level=0.99)):
        assert wide is not None
        assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="differences must be finite"):
        paired_interval([1.0, math.nan])
    with pytest.raises(ValueError, match="comparisons must be at least 1, got 0"):
        paired_interval([1.0], 0)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 1"):
        paired_interval([1.0, 2.0], level=1)
    with pytest.raises(ValueError, match="sd must be finite and not negative"):
        seeds_needed(1, -1)
    with pytest.raises(ValueError, match="gap must be finite"):
        seeds_needed(math.inf, 1)
    with pytest.raises(ValueError, match=r"power must be at least 0\.5 and below 1"):
        detectable(1, 5, power=1)


# The sample sizes of Cohen's tables for a paired t test at a level of 5 % and a power of 80 %.
@pytest.mark.parametrize(("effect", "seeds"), [(1.0, 10), (0.8, 15), (0.5, 34), (0.2, 199)])
def test_seeds_needed_are_those_of_the_tables(effect: float, seeds: int) -> None:
    assert seeds_needed(effect, 1) == seeds
    assert seeds_needed(-4 * effect, 4) == seeds


def test_seeds_needed_at_the_ends() -> None:
    assert seeds_needed(1, 0) == 2
    assert seeds_needed(0, 0) is None
    assert seeds_needed(0, 1) is None
    assert seeds_needed(1e9, 1) == 2
    assert seeds_needed(0.2, 1, most=198) is None
    assert seeds_needed(0.2, 1, most=199) == 199
    # with one seed nothing is detectable
    assert detectable(3, 1) is None
    assert detectable(0, 2) == 0


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 50])
def test_detectable_and_seeds_needed_agree(seeds: int) -> None:
    gap = detectable(3, seeds, 5, 0.96, 0.9)
    assert gap is not None
    assert seeds_needed(gap * 1.001, 3, 5, 0.96, 0.9) == seeds
    assert seeds_needed(gap * 0.999, 3, 5, 0.96, 0.9) == seeds + 1


@pytest.mark.parametrize("others", [1, 2, 6])
def test_power_as_simulated(others: int) -> None:
    gap = detectable(4, 5, others)
    assert gap is not None
    rng = np.random.default_rng(0)
    runs = 2000
    found = 0
    for table in rng.normal(0, 4 / math.sqrt(2), (runs, others + 1, 5)):
        fids = {arm: dict(enumerate(own)) for arm, own in enumerate(table.tolist())}
        fids[1] = {seed: fid - gap for seed, fid in fids[1].items()}
        # 0.95 is what `judge` leaves for arms that are kept
        difference = judge(fids, 0, 5, level=1 - 0.05 / KEPT_SHARE).differences[1]
        found += difference.high is not None and difference.high < 0
    # four standard errors; of more than two arms the power is an approximation
    nearly = 0.0 if others == 1 else 0.02
    assert found / runs == pytest.approx(0.8, abs=nearly + 4 * math.sqrt(0.8 * 0.2 / runs))
