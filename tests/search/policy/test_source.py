import math
from collections import Counter

import pytest

from mollitune.schedules import (
    SAME_CURVE,
    Float,
    Linear,
    Polynomial,
    Schedule,
    build,
    curve_distance,
    families,
)
from mollitune.search.policy.source import CANDIDATES, PoolSource, SpaceSource
from mollitune.search.policy.space import FamilySpace

SEARCHED = [name for name in families() if name != "vanilla"]


def space_source(entries: list[object], seed: int = 0) -> SpaceSource:
    spaces = [FamilySpace.parse(entry) for entry in entries]
    return SpaceSource({space.family: space for space in spaces}, 8, seed)


def test_every_family_is_offered_equally_often() -> None:
    offered = Counter(s.family for s in space_source([*SEARCHED]).candidates())
    assert set(offered) == set(SEARCHED)
    assert sum(offered.values()) == CANDIDATES
    assert max(offered.values()) - min(offered.values()) <= 1


def test_what_is_offered_lies_in_the_space() -> None:
    space = FamilySpace.parse({"sigmoid": {"until": [0.2, 0.3]}})
    for schedule in space_source([{"sigmoid": {"until": [0.2, 0.3]}}]).candidates():
        assert space.point(schedule, 8) is not None


def test_one_seed_offers_the_same_and_each_call_something_new() -> None:
    one, same, other = (space_source(["linear", "edm"], seed) for seed in (3, 3, 4))
    first = one.candidates()
    assert same.candidates() == first
    assert other.candidates() != first
    assert one.candidates() != first


def test_no_curve_is_offered_twice_in_whatever_parameters() -> None:
    entries: list[object] = ["linear", {"polynomial": {"power": 1.0}}]
    source = space_source(entries)
    tried: list[Schedule] = [Linear(until=k / 20) for k in range(4, 18)]
    for schedule in tried:
        source.take(schedule)
    offered = source.candidates()
    assert 0 < len(offered) < CANDIDATES
    assert {s.family for s in offered} == {"linear", "polynomial"}
    assert all(curve_distance(s, t) > SAME_CURVE for s in offered for t in tried)
    # without what was tried, both families come as near as that
    fresh = space_source(entries).candidates()
    for family in ("linear", "polynomial"):
        assert any(
            curve_distance(s, t) <= SAME_CURVE for s in fresh for t in tried if s.family == family
        )


def test_the_same_curve_in_other_parameters_is_known() -> None:
    assert curve_distance(Linear(until=0.5), Polynomial(power=1.0, until=0.5)) < SAME_CURVE
    source = space_source([{"polynomial": {"power": 1.0, "until": 0.5}}, "linear"])
    source.take(Linear(until=0.5))
    assert {s.family for s in source.candidates()} == {"linear"}


def test_when_all_was_tried_the_old_is_offered_again() -> None:
    source = space_source([{"linear": {"until": 0.5}}])
    (only,) = set(source.candidates())
    source.take(only)
    assert set(source.candidates()) == {only}


def test_a_space_offers_what_is_asked_for() -> None:
    schedule = Linear(until=0.123)
    assert space_source(["sigmoid"]).nearest(schedule) is schedule


def test_a_corner_that_the_family_refuses_is_drawn_again() -> None:
    half = FamilySpace("linear", {"until": Float(0.5, 1.5)})  # until ends at 1
    drawn = SpaceSource({"linear": half}, 8, 0).candidates()
    assert len(drawn) == CANDIDATES
    assert all(0.5 <= s.until <= 1 for s in drawn)


def test_a_space_without_any_schedule_says_why() -> None:
    none = FamilySpace("linear", {"until": Float(1.5, 2.5)})
    with pytest.raises(ValueError, match=r"until must be in \(0, 1\]"):
        SpaceSource({"linear": none}, 8, 0).candidates()


POOL = [
    build("vanilla"),
    *(Linear(until=k / 10) for k in (2, 4, 6, 8)),
    build("blur", sigma_max=2),
]


def test_a_pool_gives_each_schedule_once() -> None:
    source = PoolSource(POOL)
    assert len(source) == 6
    assert source.candidates() == POOL
    source.take(POOL[2])
    assert source.candidates() == [*POOL[:2], *POOL[3:]]
    for left in POOL[:2] + POOL[3:]:
        source.take(left)
    assert len(source) == 0


def test_the_nearest_that_is_left() -> None:
    source = PoolSource(POOL)
    asked = Polynomial(power=1.0, until=0.35)
    assert source.nearest(asked) is POOL[2]
    source.take(POOL[2])
    assert source.nearest(asked) is POOL[1]
    assert source.nearest(build("blur", sigma_max=3)) is POOL[5]


def test_with_none_of_the_kind_left_any_other_is_the_nearest() -> None:
    source = PoolSource(POOL[1:5])
    asked = build("blur", sigma_max=3)
    assert math.isinf(curve_distance(asked, POOL[1]))
    assert source.nearest(asked) in POOL[1:5]


@pytest.mark.parametrize("first", [0, 1])
def test_equal_schedules_of_a_pool_stay_apart(first: int) -> None:
    """Each has recorded runs of its own, which are found by identity."""
    twins = [Linear(until=0.5), Linear(until=0.5)]
    source = PoolSource(twins)
    source.take(twins[first])
    (left,) = source.candidates()
    assert left is twins[1 - first]
