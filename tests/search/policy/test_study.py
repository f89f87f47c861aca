"""What Optuna's studies are told, and what they learn from it."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import TrialState
from tests.search.policy.worlds import completed, plain, taken

from mollitune.schedules import Float, Linear, Schedule, build, families
from mollitune.search.policy.source import PoolSource, SpaceSource
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.stopping import Run
from mollitune.search.policy.study import STARTUP_TRIALS, StudySampler

NAMES = ["linear", "sigmoid"]
SEARCHED = [name for name in families() if name != "vanilla"]


def spaces(entries: list[Any]) -> dict[str, FamilySpace]:
    return {space.family: space for space in map(FamilySpace.parse, entries)}


def study_sampler(
    name: str = "tpe", entries: list[Any] | None = None, seed: int = 0, workers: int = 1
) -> StudySampler:
    searched = spaces(entries or NAMES)
    return StudySampler(name, searched, 8, seed, workers, SpaceSource(searched, 8))


def search(sampler: StudySampler, count: int, fid: Callable[[Schedule], float]) -> list[Schedule]:
    tried = []
    for number in range(count):
        tried.append(taken(sampler, number).schedule)
        completed(sampler, number, fid(tried[-1]))
    return tried


ENDS: dict[str, tuple[str, float | None, TrialState, dict[int, float]]] = {
    "completed": ("completed", 5.0, TrialState.COMPLETE, {}),
    "completed without a value": ("completed", None, TrialState.FAIL, {}),
    "stopped": ("stopped", 5.0, TrialState.PRUNED, {40: 5.0}),
    "stopped while mollified": ("stopped", None, TrialState.PRUNED, {}),
    "stopped at NaN": ("stopped", math.nan, TrialState.PRUNED, {}),
    "failed": ("failed", None, TrialState.FAIL, {}),
    "failed after a value": ("failed", 5.0, TrialState.FAIL, {}),
}


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_an_end_is_told_as_what_it_is(name: str, case: str) -> None:
    outcome, fid, state, values = ENDS[case]
    sampler = study_sampler(name)
    taken(sampler, 0)
    sampler.tell(Run(0, 0, "vae"), outcome, fid, 40)
    (trial,) = sampler.trials  # and nothing is left running
    assert (trial.state, trial.intermediate_values) == (state, values)
    assert trial.value == (5.0 if values or state == TrialState.COMPLETE else None)


def test_repeats_are_further_observations_of_the_point() -> None:
    sampler = study_sampler()
    taken(sampler, 0)
    completed(sampler, 0, 5.0)
    completed(sampler, 0, 7.0, repeat=1)
    sampler.tell(Run(5, 0, "vae", 2), "failed", None, 40)
    sampler.tell(Run(6, 0, "vae", 3), "stopped", 1.0, 40)
    first, second = sampler.trials
    assert [first.value, second.value] == [5.0, 7.0]
    assert first.params == second.params
    assert {t.state for t in (first, second)} == {TrialState.COMPLETE}


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_arms_teach_the_study(name: str) -> None:
    sampler = study_sampler(name)
    for number, configuration in enumerate(plain(*(FamilySpace(n).default(8) for n in NAMES))):
        sampler.tried(number, configuration)
        completed(sampler, number, 7.0 + number)
    sampler.tried(9, *plain(build("vanilla")))  # no point of the space: neither run is told
    completed(sampler, 9, 5.0)
    completed(sampler, 9, 5.0, repeat=1)
    linear, sigmoid = sampler.trials
    assert [t.value for t in (linear, sigmoid)] == [7.0, 8.0]
    assert linear.params["family"] == "linear"
    assert linear.params["linear.until"] == 0.6
    own = {k: v for k, v in sigmoid.params.items() if not k.startswith("linear")}
    assert own == pytest.approx(
        {"family": "sigmoid", "sigmoid.start": 0, "sigmoid.end": 3 / 0.7, "sigmoid.until": 0.6}
    )
    # a Gaussian process knows only points that have every parameter
    assert ("linear.until" in sigmoid.params) == (name == "gp")


def test_tpe_has_a_group_for_each_family() -> None:
    sampler = study_sampler("tpe", SEARCHED)
    for schedule in search(sampler, 14, lambda s: 1 + s.until):
        assert schedule.family in SEARCHED
    for trial in sampler.trials:
        family = trial.params["family"]
        assert all(k == "family" or k.startswith(f"{family}.") for k in trial.params)


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_one_seed_gives_one_sequence_and_another_seed_another(name: str) -> None:
    def sequence(seed: int) -> list[Schedule]:
        return search(study_sampler(name, seed=seed), STARTUP_TRIALS + 2, lambda s: 1 + s.until)

    first, other = sequence(4), sequence(5)
    assert sequence(4) == first
    startup = slice(STARTUP_TRIALS)  # later both may go to one end of the space
    assert all(a != b for a, b in zip(first[startup], other[startup], strict=True))


def test_an_illegal_proposal_is_asked_again() -> None:
    half = {"linear": FamilySpace("linear", {"until": Float(0.5, 1.5)})}  # until ends at 1
    sampler = StudySampler("tpe", half, 8, 0, 1, SpaceSource(half, 8))
    assert all(s.until <= 1 for s in search(sampler, 6, lambda s: 1 + s.until))
    assert [t.state for t in sampler.trials] == [TrialState.COMPLETE] * 6
    none = {"linear": FamilySpace("linear", {"until": Float(1.5, 2.5)})}
    sampler = StudySampler("tpe", none, 8, 0, 1, SpaceSource(half, 8))
    with pytest.raises(ValueError, match="until must be in"):
        sampler.ask(0)
    assert sampler.trials == []


def test_from_a_pool_the_nearest_is_taken_and_none_twice() -> None:
    pool = [Linear(until=k / 10) for k in range(1, 10)]
    sampler = StudySampler("tpe", spaces(["linear"]), 8, 0, 1, PoolSource(plain(*pool)))
    tried = search(sampler, 9, lambda s: 1 + s.until)
    assert sorted(s.until for s in tried) == [s.until for s in pool]
