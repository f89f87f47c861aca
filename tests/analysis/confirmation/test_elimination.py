import math
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from mollitune.analysis import clearly_out

Fids = dict[int, dict[int, float]]
VANILLA = 0


def by_seed(*arms: Sequence[float]) -> Fids:
    """Arms 0, 1, ... with their FIDs on seeds 100, 101, ..."""
    return {
        arm: {100 + seed: float(fid) for seed, fid in enumerate(fids)}
        for arm, fids in enumerate(arms)
    }


def test_two_arms_are_a_paired_t_test() -> None:
    """Differences 10, 11 and 12: mean 11, sd 1; looks after 3 and 4 seeds share 0.03."""
    upper = 0.03 / 2
    needed = (1 - 2 * upper) / math.sqrt(2 * upper * (1 - upper)) / math.sqrt(3)
    assert clearly_out(by_seed([50, 60, 55], [60, 71, 67]), VANILLA, planned=5) == {
        1: f"after 3 seeds its mean is 11.00 above that of configuration 0; {needed:.2f} was "
        "enough to drop it"
    }
    just = by_seed([50, 60, 55], [49 + needed - 0.01, 60 + needed - 0.01, 56 + needed - 0.01])
    assert clearly_out(just, VANILLA, planned=5) == {}


def spread_of(arms: list[list[float]]) -> tuple[float, float]:
    """Pooled variance of a difference and its degrees of freedom, by loops and eigenvalues."""
    pairs = [
        float(np.var(np.subtract(a, b), ddof=1)) for i, a in enumerate(arms) for b in arms[:i]
    ]
    pooled = sum(min(own, 2 * float(np.median(pairs))) for own in pairs) / len(pairs)
    rests = np.array(arms) - np.mean(arms, axis=0)
    spectrum = np.linalg.eigvalsh(np.cov(rests))
    return float(pooled), (len(arms[0]) - 1) * sum(spectrum) ** 2 / sum(spectrum**2)


def test_more_arms_pool_their_spread() -> None:
    arms = [[50.0, 60, 55, 58], [52.0, 59, 57, 57], [49.0, 62, 54, 60], [70.0, 79, 76, 76]]
    pooled, degrees = spread_of(arms)
    assert 3 < degrees < 9
    looks, others = 2, 3  # after 3 and 4 of 5 seeds
    factor = -float(t.ppf(0.03 / (looks * others), degrees))
    gaps = [float(np.mean(np.subtract(arms[3], own))) for own in arms[:3]]
    own = [float(np.var(np.subtract(arms[3], own), ddof=1)) for own in arms[:3]]
    assert own[0] < pooled < own[2]  # so that both kinds count
    needed = [factor * math.sqrt(max(variance, pooled) / 4) for variance in own]
    clearest = int(np.argmax(np.subtract(gaps, needed)))
    assert clearly_out(by_seed(*arms), VANILLA, planned=5) == {
        3: f"after 4 seeds its mean is {gaps[clearest]:.2f} above that of configuration "
        f"{clearest}; {needed[clearest]:.2f} was enough to drop it"
    }


def test_arms_that_began_count_as_comparisons() -> None:
    arms = by_seed([50, 60, 55], [60, 71, 67])
    assert clearly_out(arms, VANILLA, 5, arms=2)
    assert "3.26 was enough" in clearly_out(arms, VANILLA, 5, arms=2)[1]
    assert clearly_out(arms, VANILLA, 5, arms=20) == {}


def test_the_reference_is_never_out() -> None:
    arms = by_seed([160, 171, 167], [50, 60, 55])
    assert clearly_out(arms, VANILLA, planned=5) == {}
    assert set(clearly_out(arms, 1, planned=5)) == {0}


@pytest.mark.parametrize(
    ("seeds", "planned", "looks"),
    [(1, 5, False), (2, 5, False), (3, 5, True), (4, 5, True), (5, 5, False), (3, 3, False)],
)
def test_when_it_looks(seeds: int, planned: int, looks: bool) -> None:
    rng = np.random.default_rng(1)
    arms = by_seed(*rng.normal(50, 0.1, (4, seeds)).tolist(), [5000] * seeds)
    assert set(clearly_out(arms, VANILLA, planned)) == ({4} if looks else set())


def test_only_shared_seeds_count() -> None:
    arms = by_seed([50, 60, 55, 58], [60, 71, 67, 0])
    del arms[0][103]  # a run of vanilla failed
    three = by_seed([50, 60, 55], [60, 71, 67])
    assert clearly_out(arms, VANILLA, 5) == clearly_out(three, VANILLA, 5) != {}
    # an arm without runs is left aside
    assert clearly_out(three | {7: {}}, VANILLA, 5, arms=2) == clearly_out(three, VANILLA, 5)
    assert clearly_out({0: {}, 1: arms[1]}, VANILLA, 5) == {}
    assert clearly_out({}, VANILLA, 5) == {}


def test_noise_free_arms_and_what_is_not_finite() -> None:
    assert set(clearly_out(by_seed([50] * 3, [50] * 3, [51] * 3), VANILLA, 5)) == {2}
    assert clearly_out(by_seed([50] * 3, [50] * 3), VANILLA, 5) == {}
    with pytest.raises(ValueError, match="FIDs must be finite"):
        clearly_out(by_seed([50, 60, 55], [60, math.nan, 67]), VANILLA, 5)


WORLDS = st.lists(st.lists(st.integers(-500, 500), min_size=4, max_size=4), min_size=2, max_size=6)


@given(WORLDS, st.lists(st.integers(-50, 50), min_size=4, max_size=4), st.randoms())
@settings(max_examples=50)
def test_neither_order_nor_what_seeds_share_matters(
    worlds: list[list[int]], context: list[int], random: Random
) -> None:
    arms = by_seed(*worlds)
    before = set(clearly_out(arms, VANILLA, 6))
    moved = {
        arm: {seed: fid + context[seed - 100] for seed, fid in own.items()}
        for arm, own in arms.items()
    }
    order = list(moved)
    random.shuffle(order)
    assert set(clearly_out({arm: moved[arm] for arm in order}, VANILLA, 6)) == before


@pytest.mark.parametrize("spread", [1, 3, 10])
def test_the_best_arm_is_dropped_no_more_often_than_stated(spread: int) -> None:
    """The last of five equal arms is taken for the best; it spreads more than the others."""
    rng = np.random.default_rng(spread)
    searches, planned, arms = 1000, 6, 5
    dropped = 0
    for fids in rng.normal(0, 1, (searches, arms, planned)):
        fids[-1] *= spread
        still = dict(enumerate(fids.tolist()))
        for seeds in range(3, planned):
            seen = {arm: dict(enumerate(own[:seeds])) for arm, own in still.items()}
            for arm in clearly_out(seen, VANILLA, planned, arms):
                del still[arm]
        dropped += arms - 1 not in still
    # stated 0.03, and three binomial errors
    assert dropped / searches <= 0.03 + 3 * math.sqrt(0.03 * 0.97 / searches)


def test_it_finds_what_is_far_worse() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for fids in rng.normal(0, 1, (200, 5, 3)).tolist():
        fids[3] = [fid + 12 for fid in fids[3]]
        found += 3 in clearly_out(by_seed(*fids), VANILLA, 5)
    assert found > 180
