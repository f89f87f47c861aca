"""A race by hand."""

import random
from collections.abc import Mapping

import pytest

from mollitune.search.policy.race import Promotion, Race


def mean(complete: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
    return {c: sum(runs.values()) / len(runs) for c, runs in complete.items()}


def race(eta: float = 3, seeds: int = 5) -> Race:
    return Race(eta, seeds, mean)


def first_runs(race: Race, fids: list[float | None]) -> None:
    for configuration, fid in enumerate(fids):
        assert race.start(configuration) == 0
        race.end(configuration, 0, fid)


def promoted(race: Race, fid: float | None = None) -> int | None:
    """Promote the next one, if any, and end its run with a FID if one is given."""
    found = race.promotion()
    if found is None:
        return None
    repeat = race.start(found.configuration)
    assert repeat == found.rung + 1
    if fid is not None:
        race.end(found.configuration, repeat, fid)
    return found.configuration


def test_nine_configurations_by_hand() -> None:
    contest = race()
    first_runs(contest, [50.0, 20, 90, 10, 60, 30, 80, 40, 70])
    # rung 0 holds nine, so the best three get a second seed
    assert contest.promotion() == Promotion(3, 0, 10, 30, 9)
    assert contest.promotion() == Promotion(3, 0, 10, 30, 9)  # to look changes nothing
    assert promoted(contest, 24.0) == 3  # worth 17 now
    assert contest.promotion() == Promotion(1, 0, 20, 30, 9)
    assert promoted(contest, 12.0) == 1  # worth 16
    assert contest.promotion() == Promotion(5, 0, 30, 30, 9)
    assert promoted(contest, 28.0) == 5  # worth 29
    # rung 1 holds three, so the best of them gets a third seed: 1 by its mean, not 3 by its lowest
    assert contest.promotion() == Promotion(1, 1, 16, 16, 3)
    assert promoted(contest, 16.0) == 1
    assert contest.promotion() is None  # rung 2 holds one, and a third of it is nobody


def test_nobody_is_promoted_before_there_is_a_choice() -> None:
    contest = Race(3, 5, mean, least=9)
    first_runs(contest, [50.0, 20, 90, 10, 60, 30, 80, 40])
    assert contest.promotion() is None
    contest.start(8)
    contest.end(8, 0, 70.0)
    assert contest.promotion() == Promotion(3, 0, 10, 30, 9)


def test_higher_rungs_go_first() -> None:
    contest = race()
    first_runs(contest, [float(k) for k in range(1, 10)])
    for fid in (1.0, 5.0, 5.0):
        promoted(contest, fid)
    first = contest.promotion()
    assert first is not None
    assert first.rung == 1
    contest.start(9)
    contest.end(9, 0, 0.1)  # a newcomer deserves a second seed, too, but later
    assert contest.promotion() == first
    promoted(contest, 1.0)
    second = contest.promotion()
    assert second is not None
    assert (second.configuration, second.rung, second.competitors) == (9, 0, 10)


@pytest.mark.parametrize(
    ("fids", "promotions"),
    [
        ([50.0, 20, None, 10, 60, 30, 80, 40, 70], [3, 1, 5, None]),
        ([7.0] * 6, [0, 1, None]),  # ties go to the older; an open run is not promoted again
        ([5.0, 6.0, 9.0], [0, None]),
    ],
)
def test_the_order_of_results_changes_nothing(
    fids: list[float | None], promotions: list[int | None]
) -> None:
    for seed in range(20):
        contest, order = race(), list(range(len(fids)))
        for configuration in order:
            assert contest.start(configuration) == 0
        random.Random(seed).shuffle(order)
        for ended, configuration in enumerate(order, start=1):
            contest.end(configuration, 0, fids[configuration])
            assert ended > 2 or contest.promotion() is None  # a third of two is nobody
        assert [promoted(contest) for _ in promotions] == promotions


def test_stopped_and_failed_ones_compete_but_are_not_promoted() -> None:
    contest = race()
    first_runs(contest, [None, 9.0, None])
    assert contest.promotion() == Promotion(1, 0, 9, 9, 3)
    contest = race()
    first_runs(contest, [None] * 9)
    assert contest.promotion() is None


def test_who_fails_on_a_later_seed_is_out_but_counts_there() -> None:
    contest = race()
    first_runs(contest, [float(k) for k in range(1, 10)])
    for fid in (1.0, None, 3.0):
        found = contest.promotion()
        assert found is not None
        contest.end(found.configuration, contest.start(found.configuration), fid)
    assert contest.promotion() == Promotion(0, 1, 1, 1, 3)
    contest.end(0, contest.start(0), None)
    # 2, the last of the rung with all its runs, takes the place
    assert contest.promotion() == Promotion(2, 1, 3, 3, 3)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_no_configuration_gets_more_runs_than_seeds(seeds: int) -> None:
    contest = race(eta=2, seeds=seeds)
    first_runs(contest, [float(k) for k in range(32)])
    started = [1] * 32
    while (configuration := promoted(contest, 1.0)) is not None:
        started[configuration] += 1
    assert max(started) == seeds
    assert started.count(seeds) == 32 // 2 ** (seeds - 1)


def test_the_score_decides_and_sees_every_run() -> None:
    seen = []

    def last(complete: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
        seen.append({c: dict(runs) for c, runs in complete.items()})
        return {c: -runs[0] for c, runs in complete.items()}

    contest = Race(3, 5, last)
    first_runs(contest, [1.0, 2.0, None, 3.0])
    found = contest.promotion()
    assert found == Promotion(3, 0, -3, -3, 4)
    assert seen == [{0: {0: 1.0}, 1: {0: 2.0}, 3: {0: 3.0}}]
