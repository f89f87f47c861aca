"""Replays of tiny recordings, worked by hand."""

import dataclasses
import math
import random

import pytest
from tests.search.policy.worlds import STEPS, curve, plain, recording

from mollitune.schedules import build
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.hyperspace import Hyperspace
from mollitune.search.policy.samplers import RandomSampler
from mollitune.search.policy.source import Source
from mollitune.search.policy.stopping import Run
from mollitune.search.replay.comparison import policies
from mollitune.search.replay.replay import Policy, Recording, ReplayOutcome, replay


class InTurn:
    """Takes a pool in the order in which it was recorded, whatever order it is offered in."""

    def __init__(self, source: Source, seed: int, hyperspace: Hyperspace) -> None:
        self._source = source

    def tried(self, number: int, configuration: Configuration) -> None:
        self._source.take(configuration)

    def ask(self, number: int, vanilla: bool = False) -> Configuration:
        offered = self._source.candidates(random.Random(0), vanilla)
        return min(offered, key=lambda c: c.schedule.until)

    def started(self, run: Run) -> None:
        """Learn nothing."""

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        pass


TWO_THIRDS = 2 / 3


def test_complete_runs_cost_one_each() -> None:
    found = replay(recording([[5.0], [4.0], [6.0]]), Policy("all", InTurn), math.inf, 0)
    assert found == ReplayOutcome(
        chosen=1, lowest=1, cost=3.0, configurations=3, runs=3, stopped=0
    )


@pytest.mark.parametrize(("budget", "runs"), [(0.5, 1), (1, 1), (1.01, 2), (2.5, 3), (9, 4)])
def test_the_run_that_reaches_the_budget_is_the_last(budget: float, runs: int) -> None:
    record = recording([[5.0], [4.0], [6.0], [3.0]])
    assert replay(record, Policy("all", InTurn), budget, 0).runs == runs


def test_a_late_cut_by_hand() -> None:
    # the third is above the quantile of 5 4 6 and ends after 40 of 60 steps; 3 goes on;
    # 3 4 5 6 9: stopped; 2 goes on
    record = recording([[5.0], [4.0], [6.0], [3.0], [9.0], [2.0]])
    cut = Policy("cut", InTurn, "late_cut", (TWO_THIRDS,))
    found = replay(record, cut, math.inf, 0)
    assert found.cost == pytest.approx(4 + 2 * TWO_THIRDS)
    assert dataclasses.replace(found, cost=0) == ReplayOutcome(5, 5, 0, 6, 6, 2)
    patient = dataclasses.replace(cut, least=6)
    assert replay(record, patient, math.inf, 0).cost == 6  # 2 is the best of the six
    halves = dataclasses.replace(cut, eta=2.0)
    # 4 5 6: the median is 5; then 3 4 5 6, 3 4 5 6 9 with 9 above, 2
    assert replay(record, halves, math.inf, 0).stopped == 2


def test_two_rungs_by_hand() -> None:
    # at 20 all are mollified or judged as at 40; the third and fifth are stopped at the first
    record = recording([[5.0], [4.0], [6.0], [3.0], [9.0], [2.0]], until=0.0)
    both = Policy("asha", InTurn, "asha", (1 / 3, 2 / 3))
    assert replay(record, both, math.inf, 0).cost == pytest.approx(4 + 2 / 3)


def test_mollified_runs_are_not_stopped_but_their_probes_are() -> None:
    record = recording([[5.0], [4.0], [6.0], [3.0], [9.0], [2.0]], until=0.9, probe=12)
    cut = Policy("cut", InTurn, "late_cut", (TWO_THIRDS,))
    assert replay(record, cut, math.inf, 0).cost == 6
    probe = Policy("probe", InTurn, "probe", (TWO_THIRDS,))
    found = replay(record, probe, math.inf, 0)
    # as above, and each of the six pays one branch of 12 of 60 steps at the rung alone
    assert found.cost == pytest.approx(4 + 2 * TWO_THIRDS + 6 * 12 / STEPS)
    assert found.stopped == 2


def test_a_race_by_hand() -> None:
    # one seed like the other, so the order of seeds does not matter
    record = recording([[fid] * 3 for fid in (5.0, 4.0, 6.0, 3.0, 9.0, 2.0)])
    race = Policy("race", InTurn, eta=3, seeds=3)
    # after 5 4 6: 4 again, of three; after 3: 3 again, of four; then 9 and 2. The pool is
    # exhausted with 2, which gets no second seed
    assert replay(record, race, math.inf, 0) == ReplayOutcome(5, 5, 8.0, 6, 8, 0)
    # with a cut within, 6 and 9 are stopped; 4 and 3 get a second run, which no rung can stop
    both = dataclasses.replace(race, rule="late_cut", marks=(TWO_THIRDS,))
    found = replay(record, both, math.inf, 0)
    assert (found.runs, found.stopped) == (8, 2)
    assert found.cost == pytest.approx(6 + 2 * TWO_THIRDS)


def test_seeds_are_at_most_those_recorded() -> None:
    record = recording([[fid] * 2 for fid in (1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)])
    found = replay(record, Policy("race", InTurn, eta=2, seeds=9), math.inf, 0)
    # of 11 tried before the pool ran out floor(11 / 2) got the second seed, and there is no third
    assert found.runs == 12 + 5


def test_what_a_policy_sees_does_not_judge_it() -> None:
    record = recording([[5.0], [4.0], [6.0]], truth=[1.0, 3.0, 2.0])
    found = replay(record, Policy("all", InTurn), math.inf, 0)
    assert record.values[found.chosen] - min(record.values) == 2.0


def test_the_mean_over_seeds_chooses_and_not_the_lowest_value() -> None:
    # the first is lucky once. With its lucky seed first it is promoted after the second run, is
    # worth 5 then, and the second is promoted, too; with the other seed only the second is
    record = recording([[1.0, 9.0], [4.0, 4.0], [8.0, 8.0]])
    race = Policy("race", InTurn, eta=1.01, seeds=2)
    found = [replay(record, race, math.inf, seed) for seed in range(9)]
    assert {(o.chosen, o.lowest, o.runs) for o in found} == {(1, 0, 5), (1, 1, 4)}


SHAPED = [20 + 200 * ((k + 1) / 17 - 0.6) ** 2 for k in range(16)]
LARGE = recording([[fid, fid] for fid in SHAPED])


@pytest.mark.parametrize("policy", policies(8, 1, 2), ids=lambda policy: policy.name)
def test_one_seed_gives_one_outcome(policy: Policy) -> None:
    first = [replay(LARGE, policy, 7, seed) for seed in range(2)]
    assert [replay(LARGE, policy, 7, seed) for seed in range(2)] == first
    assert all(7 <= o.cost < 8.2 for o in first)


def test_each_seed_has_an_order_of_its_own() -> None:
    chance = Policy("random", RandomSampler)
    assert len({replay(LARGE, chance, 1, seed).chosen for seed in range(12)}) > 4


def test_arms_are_tried_in_their_order() -> None:
    pool = plain(
        build("vanilla"),
        build("blur", sigma_max=3.0),
        build("linear"),
        build("linear", until=0.3),
    )
    finals = [[4.0], [1.0], [2.0], [3.0]]
    record = dataclasses.replace(recording(finals), configurations=tuple(pool))
    for seed in range(5):
        found = replay(record, Policy("two arms", InTurn, arms=2), 2, seed)
        assert found.chosen == 2  # vanilla and linear, whatever the order; blur would be better


def test_arms_seeds_values_and_caveat_of_a_recording() -> None:
    names = ("vanilla", "edm", "knots", "sigmoid", "edm", "cosine")
    pool = tuple(plain(*map(build, names)))
    runs = (tuple(curve(1.0)),)
    record = Recording("vae", pool, (runs * 3, runs * 2) * 3, ((1.0, 3.0),) * 6)
    assert (record.seeds, record.values) == (2, [2.0] * 6)
    assert record.schedules == tuple(c.schedule for c in pool)
    # a family that comes again is a sampler's choice, and so is all that follows
    assert [c.schedule.family for c in record.arms] == ["vanilla", "sigmoid", "edm", "knots"]
    assert record.caveat == "regret in FID, judged by 2 seed(s) that no policy has seen"
    seen = dataclasses.replace(record, held_out=False)
    assert seen.caveat.startswith("regret in FID, judged by the same runs that the policies see")
