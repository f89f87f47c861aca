import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from mollitune.analysis import clearly_out, judge

Fids = dict[int, dict[int, float]]
VANILLA = 0


def by_seed(table: list[list[float]]) -> Fids:
    """Arms 0, 1, ... with their FIDs on seeds 0, 1, ..."""
    return {arm: dict(enumerate(fids)) for arm, fids in enumerate(table)}


def test_intervals_are_paired_t_intervals() -> None:
    """Of three arms the least spread of a pair is its own, so nothing is widened."""
    vanilla, better, even = [70.1, 65.2, 74.8, 69.0], [55.9, 50.2, 62.1, 54.0], [71.0, 64, 76, 70]
    judgement = judge(by_seed([vanilla, better, even]), VANILLA, planned=4)
    for arm, fids in ((1, better), (2, even)):
        found = judgement.differences[arm]
        interval = ttest_rel(fids, vanilla).confidence_interval(1 - 0.8 * 0.05 / 2)
        assert found.mean == pytest.approx(np.mean(fids) - np.mean(vanilla))
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        assert found.seeds == 4
    assert judgement.tied == {1}


def test_a_pair_never_counts_as_spreading_less_than_the_second_least_of_four_arms() -> None:
    vanilla = [70.0, 65, 75, 69]
    lucky = [fid - 3 + 0.001 * i for i, fid in enumerate(vanilla)]  # as if it had no noise
    others = [[68.0, 66, 73, 71], [66.0, 69, 70, 74]]
    judgement = judge(by_seed([vanilla, lucky, *others]), VANILLA, planned=4)
    arms = [vanilla, lucky, *others]
    spreads = sorted(
        float(np.std(np.subtract(a, b), ddof=1)) for i, a in enumerate(arms) for b in arms[:i]
    )
    own = ttest_rel(lucky, vanilla).confidence_interval(1 - 0.04 / 3)
    found = judgement.differences[1]
    assert own.high < 0 < (found.high or 0)
    wider = spreads[1] / spreads[0]
    assert (found.high or 0) - found.mean == pytest.approx(wider * (own.high - found.mean))


def test_an_arm_that_is_out_has_an_interval_for_any_number_of_seeds() -> None:
    vanilla, out = [70.1, 65.2, 74.8, 69.0, 71.2], [85.9, 83.2, 92.1]
    judgement = judge(by_seed([vanilla, out]), VANILLA, planned=5, out={1})
    # one comparison at any of 2, 3, 4 or 5 seeds
    interval = ttest_rel(out, vanilla[:3]).confidence_interval(1 - 0.2 * 0.05 / 4)
    found = judgement.differences[1]
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert judgement.tied == {VANILLA}


def test_seeds_that_vanilla_lacks_are_left_out() -> None:
    fids = by_seed([[70.1, 65.2, 74.8, 69.0], [55.9, 50.2, 62.1, 54.0]])
    del fids[0][1]
    found = judge(fids, VANILLA, 4).differences[1]
    assert found.seeds == 3
    assert found.mean == pytest.approx(np.mean([55.9, 62.1, 54.0]) - np.mean([70.1, 74.8, 69.0]))


def test_too_few_seeds_and_what_is_not_finite() -> None:
    one = judge(by_seed([[70.0], [50.0], [90.0]]), VANILLA, 5)
    assert one.differences == {1: (-20, None, None, 1), 2: (20, None, None, 1)}
    assert one.tied == {0, 1, 2}  # nothing tells them apart
    none = judge({0: {}, 1: {0: 50.0}, 2: {}}, VANILLA, 5)
    assert none.differences == {}
    assert none.tied == {1}
    assert judge({0: {1: 70.0}, 1: {0: 50.0}}, VANILLA, 5).differences == {}
    with pytest.raises(ValueError, match="must be finite"):
        judge(by_seed([[70.0, math.nan], [50.0, 51.0]]), VANILLA, 2)


WORLDS = st.lists(st.lists(st.integers(-300, 300), min_size=3, max_size=3), min_size=2, max_size=6)


@given(WORLDS, st.lists(st.integers(-50, 50), min_size=3, max_size=3), st.randoms())
@settings(max_examples=50)
def test_neither_order_nor_what_seeds_share_matters(
    worlds: list[list[int]], context: list[int], random: Random
) -> None:
    arms = by_seed([[float(fid) for fid in own] for own in worlds])
    out = {len(arms) - 1} if len(arms) > 2 else set()
    before = judge(arms, VANILLA, 3, out)
    moved = {arm: {s: fid + context[s] for s, fid in own.items()} for arm, own in arms.items()}
    order = list(moved)
    random.shuffle(order)
    assert judge({arm: moved[arm] for arm in order}, VANILLA, 3, out) == before


@given(WORLDS)
@settings(max_examples=50)
def test_the_lowest_mean_is_tied_and_what_beats_vanilla_shuts_it_out(
    worlds: list[list[int]],
) -> None:
    arms = by_seed([[float(fid) for fid in own] for own in worlds])
    judgement = judge(arms, VANILLA, 3)
    assert min(arms, key=lambda arm: sum(arms[arm].values())) in judgement.tied
    beats = [arm for arm, found in judgement.differences.items() if (found.high or 0) < 0]
    assert not (beats and VANILLA in judgement.tied)


def three_errors(allowed: float, runs: int) -> float:
    return allowed + 3 * math.sqrt(allowed * (1 - allowed) / runs)


@pytest.mark.parametrize(
    ("spread", "skewed"), [((1, 1, 1, 1), False), ((1, 3, 3, 3), True), ((3, 1, 1, 1), False)]
)
def test_levels_are_held(spread: tuple[int, ...], skewed: bool) -> None:
    """Equal arms, dropped as in a real confirmation: every finding is an error."""
    rng = np.random.default_rng(sum(spread))
    searches, planned = 1000, 5
    noise = rng.lognormal(0, 0.5, (searches, 4, planned)) if skewed else None
    table = rng.normal(0, 1, (searches, 4, planned)) if noise is None else noise
    table *= np.array(spread)[:, None]
    table -= table.mean(axis=(0, 2), keepdims=True)
    false_beats = missed = lost = 0
    for fids in table.tolist():
        out: set[int] = set()
        seen: Fids = {arm: {} for arm in range(4)}
        for seed in range(planned):
            still = [arm for arm in seen if arm not in out]
            for arm in still:
                seen[arm][seed] = fids[arm][seed]
            out |= clearly_out({arm: seen[arm] for arm in still}, VANILLA, planned, 4).keys()
        found, tied, _ = judge(seen, VANILLA, planned, out)
        high = {arm: one.high or 0 for arm, one in found.items()}
        false_beats += any(high[arm] < 0 for arm in found if arm not in out)
        missed += any(high[arm] < 0 or (one.low or 0) > 0 for arm, one in found.items())
        lost += 1 not in tied
    assert false_beats / searches <= three_errors(0.05, searches)
    assert missed / searches <= three_errors(0.05, searches)
    assert lost / searches <= three_errors(0.05, searches)
