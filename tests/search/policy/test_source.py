import math
import random
from collections import Counter

import pytest
from tests.search.policy.worlds import plain

from mollitune.schedules import (
    SAME_CURVE,
    Float,
    Linear,
    Polynomial,
    Schedule,
    Vanilla,
    build,
    curve_distance,
    families,
)
from mollitune.search.policy import Hyperspace
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.source import (
    CANDIDATES,
    ORDER,
    PoolSource,
    SpaceSource,
    arms_within,
    first_tried,
)
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.tried import TriedCurves

SEARCHED = [name for name in families() if name != "vanilla"]


def offered(
    source: SpaceSource | PoolSource, seed: int = 0, vanilla: bool = False
) -> list[Configuration]:
    return list(source.candidates(random.Random(seed), vanilla))


def drawn(source: SpaceSource | PoolSource, seed: int = 0) -> list[Schedule]:
    """The schedules that are offered, without hyperparameters."""
    found = offered(source, seed)
    assert all(configuration.settings == () for configuration in found)
    return [configuration.schedule for configuration in found]


def space_source(entries: list[object]) -> SpaceSource:
    spaces = [FamilySpace.parse(entry) for entry in entries]
    return SpaceSource({space.family: space for space in spaces}, 8)


def test_every_family_is_offered_equally_often() -> None:
    found = Counter(s.family for s in drawn(space_source([*SEARCHED])))
    assert set(found) == set(SEARCHED)
    assert sum(found.values()) == CANDIDATES
    assert max(found.values()) - min(found.values()) <= 1


def test_what_is_offered_lies_in_the_space() -> None:
    space = FamilySpace.parse({"sigmoid": {"until": [0.2, 0.3]}})
    for schedule in drawn(space_source([{"sigmoid": {"until": [0.2, 0.3]}}])):
        assert space.point(schedule, 8) is not None


def test_one_draw_offers_the_same_and_another_something_new() -> None:
    source = space_source(["linear", "edm"])
    assert drawn(source, 3) == drawn(source, 3) != drawn(source, 4)


def test_no_curve_is_offered_twice_in_whatever_parameters() -> None:
    entries: list[object] = ["linear", {"polynomial": {"power": 1.0}}]
    source = space_source(entries)
    tried: list[Schedule] = [Linear(until=k / 20) for k in range(4, 18)]
    for configuration in plain(*tried):
        source.take(configuration)
    found = drawn(source)
    assert 0 < len(found) < CANDIDATES
    assert {s.family for s in found} == {"linear", "polynomial"}
    assert all(curve_distance(s, t) > SAME_CURVE for s in found for t in tried)
    # without what was tried, both families come as near as that
    fresh = drawn(space_source(entries))
    for family in ("linear", "polynomial"):
        assert any(
            curve_distance(s, t) <= SAME_CURVE for s in fresh for t in tried if s.family == family
        )


def test_when_all_was_tried_the_old_is_offered_again() -> None:
    source = space_source([{"linear": {"until": 0.5}}])
    (only,) = set(offered(source))
    source.take(only)
    assert set(offered(source)) == {only}


def test_a_corner_that_the_family_refuses_is_drawn_again() -> None:
    half = FamilySpace("linear", {"until": Float(0.5, 1.5)})  # until ends at 1
    found = drawn(SpaceSource({"linear": half}, 8))
    assert len(found) == CANDIDATES
    assert all(0.5 <= s.until <= 1 for s in found)


def test_a_space_without_any_schedule_says_why() -> None:
    none = FamilySpace("linear", {"until": Float(1.5, 2.5)})
    with pytest.raises(ValueError, match=r"until must be in \(0, 1\]"):
        drawn(SpaceSource({"linear": none}, 8))


POOL = plain(
    build("vanilla"),
    *(Linear(until=k / 10) for k in (2, 4, 6, 8)),
    build("blur", sigma_max=2),
)


def test_a_pool_gives_each_configuration_once() -> None:
    source = PoolSource(POOL)
    assert len(source) == 6
    # without hyperparameters vanilla is one of many, whichever side is asked for
    assert offered(source, vanilla=True) == offered(source) == POOL
    source.take(POOL[2])
    assert offered(source) == POOL[:2] + POOL[3:]
    for left in POOL[:2] + POOL[3:]:
        source.take(left)
    assert len(source) == 0
    assert offered(source) == offered(source, vanilla=True) == []


def test_a_side_of_a_pool_that_is_exhausted_offers_the_other() -> None:
    lr = Hyperspace({"lr": Float(1e-4, 1e-2, log=True)})
    pool = [Configuration(own.schedule, (("lr", 1e-3),)) for own in POOL[:3]]
    source = PoolSource(pool, lr)
    assert offered(source) == pool[1:]
    assert offered(source, vanilla=True) == pool[:1]
    source.take(pool[0])
    assert offered(source, vanilla=True) == pool[1:]
    source = PoolSource(pool, lr)
    for configuration in pool[1:]:
        source.take(configuration)
    assert offered(source) == pool[:1]


def test_the_nearest_that_is_left() -> None:
    source = PoolSource(POOL)
    (asked,) = plain(Polynomial(power=1.0, until=0.35))
    assert source.nearest(asked) is POOL[2]
    source.take(POOL[2])
    assert source.nearest(asked) is POOL[1]
    assert source.nearest(*plain(build("blur", sigma_max=3))) is POOL[5]


def test_with_none_of_the_kind_left_any_other_is_the_nearest() -> None:
    source = PoolSource(POOL[1:5])
    (asked,) = plain(build("blur", sigma_max=3))
    assert math.isinf(curve_distance(asked.schedule, POOL[1].schedule))
    assert source.nearest(asked) in POOL[1:5]


@pytest.mark.parametrize("first", [0, 1])
def test_equal_schedules_of_a_pool_stay_apart(first: int) -> None:
    """Each has recorded runs of its own, which are found by identity."""
    twins = plain(Linear(until=0.5), Linear(until=0.5))
    source = PoolSource(twins)
    source.take(twins[first])
    (left,) = offered(source)
    assert left is twins[1 - first]


def test_it_is_the_curve_distance_to_each_that_was_tried() -> None:
    source = space_source([*SEARCHED])
    known = [Vanilla(), *drawn(source)[:150]]
    asked = [*drawn(source, 1), *known[:3], Linear(until=0.001), Vanilla()]
    tried = TriedCurves(SAME_CURVE)
    assert tried.new(asked) == asked
    for schedule in known:
        tried.add(schedule)
    wanted = [s for s in asked if all(curve_distance(s, t) > SAME_CURVE for t in known)]
    assert tried.new(asked) == wanted
    assert 0 < len(wanted) < len(asked) - 5


# What is tried first.


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
