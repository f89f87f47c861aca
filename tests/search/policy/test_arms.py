import pytest

from mollitune.schedules import Linear, Polynomial, Schedule, Vanilla, build, families
from mollitune.search.policy.source import ORDER, arms_within, first_tried
from mollitune.search.policy.space import FamilySpace


def defaults() -> list[Schedule]:
    return [FamilySpace(name).default(8) for name in families()]


def test_the_baseline_and_the_papers_default_come_first() -> None:
    tried = first_tried(reversed(defaults()))
    assert tried[:2] == [Vanilla(), FamilySpace("sigmoid").default(8)]
    assert [s.family for s in tried] == list(ORDER)


def test_a_curve_is_tried_once_whatever_it_is_called() -> None:
    linear = Linear(until=0.4)
    assert first_tried([Polynomial(power=1.0, until=0.4), linear]) == [
        Polynomial(power=1.0, until=0.4)
    ]
    other = Polynomial(power=2.0, until=0.4)
    assert first_tried([linear, other]) == [other, linear]


def test_families_that_nobody_placed_come_last_in_their_own_order() -> None:
    given = [build("knots", until=0.2), build("cosine_shift", until=0.8), build("linear")]
    assert first_tried(given) == [given[2], given[0], given[1]]


@pytest.mark.parametrize(
    ("runs", "arms"),
    [(0.5, 1), (1, 1), (3.9, 1), (4, 2), (6, 3), (12, 3), (16, 4), (24, 6), (99, 9)],
)
def test_arms_take_a_quarter_of_the_runs_or_three_of_few(runs: float, arms: int) -> None:
    assert arms_within(9, runs) == arms
    assert arms_within(2, runs) == min(arms, 2)
