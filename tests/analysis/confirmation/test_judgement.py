import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_rel

from mollitune.analysis import clearly_out, judge

Fids = dict[int, dict[int, float]]
VANILLA = 0


def by_seed(table: list[list[float]]) -> Fids:
    """Arms 0, 1, ... with their FIDs on seeds 0, 1, ..."""
    return {arm: dict(enumerate(fids)) for arm, fids in enumerate(table)}


def test_of_two_arms_the_interval_is_that_of_a_paired_t_test() -> None:
    vanilla, better = [70.1, 65.2, 74.8, 69.0], [55.9, 50.2, 62.1, 54.0]
    judgement = judge(by_seed([vanilla, better]), VANILLA, planned=4)
    found = judgement.differences[1]
    interval = ttest_rel(better, vanilla).confidence_interval(1 - 0.8 * 0.05)
    assert found.mean == pytest.approx(np.mean(better) - np.mean(vanilla))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.seeds == 4
    assert judgement.tied == {1}


def test_more_arms_share_what_they_tell_of_the_spread() -> None:
    """A pair that seems to have no noise gets that of all; one wild arm does not blur the rest."""
    vanilla = [70.0, 65, 75, 69]
    lucky = [fid - 3 + 0.001 * i for i, fid in enumerate(vanilla)]
    arms = [vanilla, lucky, [68.0, 66, 73, 71], [66.0, 67, 71, 70], [52.0, 84, 70, 61]]
    judgement = judge(by_seed(arms), VANILLA, planned=4)
    spreads = {
        (i, j): float(np.var(np.subtract(arms[i], arms[j]), ddof=1))
        for i in range(5)
        for j in range(i)
    }
    most = 2 * float(np.median(list(spreads.values())))
    pooled = float(np.mean([min(own, most) for own in spreads.values()]))
    rests = np.array(arms) - np.mean(arms, axis=0)
    spectrum = np.linalg.eigvalsh(np.cov(rests))
    alike = spectrum.sum() ** 2 / (spectrum**2).sum()
    assert 1 < alike < 4
    for arm in range(1, 5):
        variance = max(spreads[arm, 0], pooled)
        half = t.ppf(1 - 0.02 / 4, 3 * alike) * math.sqrt(variance / 4)
        assert judgement.differences[arm].half_width == pytest.approx(half)
        assert (spreads[arm, 0] < pooled) == (arm < 4)
    assert max(spreads.values()) > most


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
    after = judge({arm: moved[arm] for arm in order}, VANILLA, 3, out)
    assert after.tied == before.tied
    for arm, found in before.differences.items():
        assert after.differences[arm] == pytest.approx(found, abs=1e-6)


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
