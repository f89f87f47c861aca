import math

import numpy as np
import pytest

from mollitune.analysis import clearly_out, judge
from mollitune.analysis.confirmation.looks import anytime_critical, level_of

VANILLA = 0


def by_seed(table: np.ndarray) -> dict[int, dict[int, float]]:
    """Arms 0, 1, ... with their FIDs on seeds 0, 1, ..., from the shape (arms, seeds)."""
    return {arm: dict(enumerate(fids)) for arm, fids in enumerate(table.tolist())}


def test_all_confirmations_together_spend_what_there_is() -> None:
    assert [level_of(look) for look in (1, 2)] == pytest.approx([0.96, 0.992])
    assert sum(1 - level_of(look) for look in range(1, 100)) == pytest.approx(0.05)
    assert level_of(1, level=0.9) == pytest.approx(0.92)


def test_an_interval_at_any_time_holds_for_all_numbers_of_seeds_at_once() -> None:
    rng, seeds = np.random.default_rng(0), 40
    values = rng.standard_normal((4000, seeds))
    count = np.arange(2, seeds + 1)
    means = values.cumsum(1)[:, 1:] / count
    squares = (values**2).cumsum(1)[:, 1:] - count * means**2
    t = np.abs(means) / np.sqrt(squares / (count - 1) / count)
    needed = np.array([anytime_critical(int(n), 1, 0.9) for n in count])
    missed = (t > needed).any(axis=1).mean()
    assert 0.03 < missed < 0.1
    # the plain interval does not
    assert (t > 2.13).any(axis=1).mean() > 0.2


def test_it_takes_more_seeds_for_more_comparisons_and_a_higher_level() -> None:
    assert math.isinf(anytime_critical(1, 1, 0.95))
    assert math.isinf(anytime_critical(3, 4, 0.95))
    plain = anytime_critical(20, 1, 0.95)
    assert plain < anytime_critical(20, 4, 0.95) < anytime_critical(20, 4, 0.99)
    assert anytime_critical(1000, 1, 0.95) == pytest.approx(math.sqrt(math.log(1001 * 400)), 0.01)


def test_the_verdict_at_any_time_takes_each_pair_by_itself() -> None:
    rng = np.random.default_rng(1)
    table = 60 + rng.standard_normal((3, 12)) + np.array([[0.0], [-4.0], [9.0]])
    table[2] += 6 * rng.standard_normal(12)  # must not widen what is said of the other
    found = judge(by_seed(table), VANILLA, planned=12, anytime=True)
    own = float(np.std(table[1] - table[0], ddof=1))
    assert found.differences[1].half_width == pytest.approx(
        anytime_critical(12, 2, 0.96) * own / math.sqrt(12)
    )
    assert found.tied == {1}
    few = judge(by_seed(table[:, :4]), VANILLA, planned=12, anytime=True)
    assert (few.differences[1].low, few.differences[1].seeds) == (None, 4)
    assert few.tied == {0, 1, 2}


def test_an_arm_that_is_out_at_any_time_needs_no_account_of_the_looks() -> None:
    table = 60 + np.random.default_rng(2).standard_normal((2, 10)) + np.array([[0.0], [5.0]])
    found = judge(by_seed(table), VANILLA, planned=50, out={1}, anytime=True)
    own = float(np.std(table[1] - table[0], ddof=1))
    assert found.differences[1].half_width == pytest.approx(
        anytime_critical(10, 1, 0.99) * own / math.sqrt(10)
    )


def test_arms_are_dropped_by_it() -> None:
    table = 60 + np.random.default_rng(3).standard_normal((2, 9)) + np.array([[0.0], [7.0]])
    gap = float(np.mean(table[1] - table[0]))
    own = float(np.std(table[1] - table[0], ddof=1))
    needed = anytime_critical(9, 1, 1 - 0.6 * 0.05) * own / 3
    assert needed < gap
    # however many looks are planned
    for planned in (10, 100):
        why = clearly_out(by_seed(table), VANILLA, planned, anytime=True)[1]
        assert why.endswith(f"{needed:.2f} was enough to drop it")
    assert not clearly_out(by_seed(table[:, :4]), VANILLA, 10, anytime=True)
