import math
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from mollitune.schedules import Schedule, Sigmoid
from mollitune.search.config import SearchConfig
from mollitune.search.launch.proposals import arms, proposer, sampler
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.samplers import RandomSampler, ShapeSampler
from mollitune.search.policy.study import StudySampler
from mollitune.search.store.journal import END, START
from mollitune.search.tune.runs import OpenRun, end_of, outcome_of
from mollitune.search.tune.searcher import ScheduleSearcher

LAST = {"progress": 1.0, "phase": "clean", "step": 90, "fid": 5.0}


def config(**keys: object) -> SearchConfig:
    plain = {
        "name": "run",
        "model": ["vae"],
        "families": ["linear", "sigmoid"],
        "trials": 30,
        "sampler": "tpe",
        "stopping": {"policy": "late_cut"},
    }
    return SearchConfig.model_validate({**plain, **keys})


class Searching:
    """A searcher that is told of the events of its own record."""

    def __init__(self, config: SearchConfig) -> None:
        self._searcher = ScheduleSearcher(proposer(config, 8), config.trials)
        self._runs: dict[int, OpenRun] = {}
        self.decisions: list[Decision] = []

    def suggest(self) -> dict[str, Any] | None:
        """Take the next run and record its start."""
        config = self._searcher.propose()
        if config is not None:
            self._runs[config["trial"]] = OpenRun(config)
            self._tell(START, config["trial"], config=config)
        return config

    def complete(self, trial: int, last: dict[str, Any] | None, error: bool = False) -> None:
        """Record the end of a run."""
        self._tell(END, trial, **end_of(last or {}, failed=error))

    def _tell(self, kind: str, trial: int, **values: Any) -> None:
        event = {"event": kind, "trial": trial, **values}
        self.decisions += self._searcher.apply(event, self._runs[trial])


def searcher_of(config: SearchConfig) -> Searching:
    return Searching(config)


def schedule_of(suggestion: dict[str, Any]) -> Schedule:
    return Schedule.from_dict(suggestion["schedule"])


def run(searcher: Searching, count: int, fid: Callable[[Schedule], float]) -> list[dict[str, Any]]:
    """Take ``count`` trials one after the other and complete each with the given FID."""
    given = []
    for i in range(count):
        suggestion = searcher.suggest()
        assert isinstance(suggestion, dict)
        given.append(suggestion)
        searcher.complete(i, {**LAST, "fid": fid(schedule_of(suggestion))})
    return given


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> list[optuna.Study]:
    """The Optuna studies that a searcher creates, in the order of the models."""
    created: list[optuna.Study] = []
    create = optuna.create_study

    def keep(**kwargs: Any) -> optuna.Study:
        created.append(create(**kwargs))
        return created[-1]

    monkeypatch.setattr(optuna, "create_study", keep)
    return created


@pytest.mark.parametrize("name", ["shape", "tpe", "gp", "random"])
def test_one_seed_gives_one_sequence_and_another_seed_another(name: str) -> None:
    def sequence(seed: int) -> list[dict[str, Any]]:
        searcher = searcher_of(config(seed=seed, sampler=name))
        return [s["schedule"] for s in run(searcher, 12, lambda s: 1 + 10 * s.until)]

    first = sequence(seed=4)
    assert sequence(seed=4) == first
    other = sequence(seed=5)
    assert other[:3] == first[:3]  # the arms
    assert all(one != two for one, two in zip(first[3:6], other[3:6], strict=True))


def test_arms_come_first_for_each_model() -> None:
    searcher = searcher_of(config(model=["vae", "realnvp"]))
    given = run(searcher, 8, lambda _: 5.0)
    assert [(s["model"], s["schedule"]["family"]) for s in given[:6]] == [
        ("vae", "vanilla"),
        ("realnvp", "vanilla"),
        ("vae", "sigmoid"),
        ("realnvp", "sigmoid"),
        ("vae", "linear"),
        ("realnvp", "linear"),
    ]
    assert schedule_of(given[2]) == Sigmoid(start=0, end=3, tau=0.7, until=0.6)
    assert [s["model"] for s in given[6:]] == ["vae", "realnvp"]  # then in turn
    assert [s["trial"] for s in given] == list(range(8))
    assert {s["seed"] for s in given} == {0}


@pytest.mark.parametrize("name", ["shape", "tpe", "gp", "random"])
def test_models_do_not_draw_the_same_schedules(name: str) -> None:
    searcher = searcher_of(config(model=["vae", "realnvp"], sampler=name))
    given = [s["schedule"] for s in run(searcher, 12, lambda _: 5.0)][6:]
    assert all(one != two for one, two in zip(given[::2], given[1::2], strict=True))


def test_arms_are_ordered_and_no_curve_comes_twice() -> None:
    tried = arms(config(families=["edm", "linear", "knots", "sigmoid"]), side=8)
    assert [s.family for _, s in tried] == ["vanilla", "sigmoid", "linear", "edm"]
    apart = config(families=["edm", "linear", {"knots": {"until": 0.3}}])
    assert [s.family for _, s in arms(apart, side=8)] == ["vanilla", "linear", "edm", "knots"]


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({"trials": 30}, 3),
        ({"trials": 5}, 2),
        ({"trials": 3}, 1),
        ({"trials": 1}, 1),
        ({"trials": 5, "arms": 3}, 3),
        ({"trials": 30, "arms": 2}, 2),
        ({"trials": 30, "arms": 9}, 3),
        ({"trials": 9, "model": ["vae", "realnvp"]}, 2),
    ],
)
def test_arms_take_half_of_the_trials_of_a_model_or_what_is_asked_for(
    keys: dict[str, Any], count: int
) -> None:
    asked = config(**keys)
    tried = [model for model, _ in arms(asked, side=8)]
    assert [tried.count(entry.name) for entry in asked.model] == [count] * len(asked.model)


def test_an_extended_search_keeps_the_arms_that_it_had() -> None:
    stored = config(trials=4).to_dict()
    longer = SearchConfig.model_validate({**stored, "trials": 40})
    assert list(arms(longer, 8)) == list(arms(config(trials=4), 8))
    assert len(list(arms(config(trials=40), 8))) == 3


def test_vanilla_in_the_families_is_no_second_baseline() -> None:
    names = [s.family for _, s in arms(config(families=["vanilla", "linear"]), side=8)]
    assert names == ["vanilla", "linear"]


def test_only_vanilla_is_searched_if_nothing_else_is_asked_for() -> None:
    searcher = searcher_of(config(families=["vanilla"], trials=3))
    given = run(searcher, 3, lambda _: 5.0)
    assert [s["schedule"]["family"] for s in given] == ["vanilla"] * 3


def test_finished_after_all_trials() -> None:
    searcher = searcher_of(config(trials=4))
    run(searcher, 4, lambda _: 5.0)
    assert searcher.suggest() is None
    assert searcher.suggest() is None


ENDS: dict[str, tuple[dict[str, Any] | None, bool, TrialState]] = {
    "completed": (LAST, False, TrialState.COMPLETE),
    "stopped on clean data": ({**LAST, "progress": 0.7}, False, TrialState.PRUNED),
    "stopped while mollified": (
        {**LAST, "progress": 0.3, "phase": "mollified"},
        False,
        TrialState.PRUNED,
    ),
    "NaN on the way": ({**LAST, "progress": 0.7, "fid": math.nan}, False, TrialState.PRUNED),
    "mollified to the end": ({**LAST, "phase": "mollified"}, False, TrialState.FAIL),
    "NaN at the end": ({**LAST, "fid": math.nan}, False, TrialState.FAIL),
    "infinite at the end": ({**LAST, "fid": math.inf}, False, TrialState.FAIL),
    "diverged": ({"failure": "loss", "done": True, "step": 9}, False, TrialState.FAIL),
    "diverged at last": ({**LAST, "failure": "loss"}, False, TrialState.FAIL),
    "error after a result": ({**LAST, "progress": 0.7}, True, TrialState.FAIL),
    "error at once": (None, True, TrialState.FAIL),
    "no result": (None, False, TrialState.FAIL),
}


@pytest.mark.parametrize("case", ENDS)
def test_the_end_of_a_trial_becomes_its_state_in_optuna(
    case: str, studies: list[optuna.Study]
) -> None:
    result, error, state = ENDS[case]
    searcher = searcher_of(config())
    for _ in range(4):  # the last one is the study's own proposal
        searcher.suggest()
    searcher.complete(3, result, error)
    (study,) = studies
    last = study.trials[-1]
    assert last.state == state
    completed = [trial.value for trial in study.get_trials(states=[TrialState.COMPLETE])]
    assert completed == ([5.0] if state == TrialState.COMPLETE else [])
    if case == "stopped on clean data":
        assert last.intermediate_values == {90: 5.0}
    else:
        assert last.intermediate_values == {}  # a mollified or non-finite value teaches nothing
    others = [trial.state for trial in study.trials[:-1]]
    assert set(others) == {TrialState.RUNNING}


def test_arms_teach_the_study_and_vanilla_is_not_in_it(studies: list[optuna.Study]) -> None:
    searcher = searcher_of(config())
    run(searcher, 3, lambda s: 10 * s.until + 1)
    sigmoid, linear = studies[0].trials
    assert linear.params == {"family": "linear", "linear.until": 0.6}
    assert sigmoid.params == pytest.approx(
        {"family": "sigmoid", "sigmoid.start": 0, "sigmoid.end": 3 / 0.7, "sigmoid.until": 0.6}
    )
    assert [t.value for t in (linear, sigmoid)] == [7.0, 7.0]


def test_an_arm_outside_the_space_is_tried_but_not_taught(studies: list[optuna.Study]) -> None:
    narrow = [{"sigmoid": {"end": [2.0, 3.0]}}]  # the authors' end/tau is 4.3 there
    searcher = searcher_of(config(families=narrow))
    given = run(searcher, 2, lambda _: 5.0)
    assert schedule_of(given[1]) == Sigmoid(start=0, end=3, tau=0.7, until=0.6)
    assert studies[0].trials == []


def test_models_have_studies_of_their_own(studies: list[optuna.Study]) -> None:
    searcher = searcher_of(config(model=["vae", "realnvp"]))
    for i in range(10):
        suggestion = searcher.suggest()
        assert isinstance(suggestion, dict)
        fid = 1.0 if suggestion["model"] == "vae" else 100.0
        searcher.complete(i, {**LAST, "fid": fid})
    vae, realnvp = studies
    assert [t.value for t in vae.trials] == [1.0] * 4
    assert [t.value for t in realnvp.trials] == [100.0] * 4


def test_tpe_finds_the_better_end_of_a_parameter() -> None:
    keys = {"families": [{"linear": {"until": [0.1, 0.9]}}], "trials": 50, "workers": 1}
    searcher = searcher_of(config(**keys))
    given = run(searcher, 50, lambda s: abs(s.until - 0.85))
    late = [abs(schedule_of(s).until - 0.85) for s in given[-20:]]
    # uniform draws are 0.31 away on average, their mean over 20 has a standard error of 0.047;
    # the bound lies 4 of them below
    assert sum(late) / 20 < 0.31 - 4 * 0.047


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (LAST, "completed"),
        ({**LAST, "progress": 0.5}, "stopped"),
        ({**LAST, "fid": math.nan}, "failed"),
        ({**LAST, "failure": "diverged"}, "failed"),
        ({}, "failed"),
    ],
)
def test_outcomes(result: dict[str, Any], outcome: str) -> None:
    assert outcome_of(result) == outcome


# Races through Ray's interface.


RACE = {"policy": "race", "within": "none", "reduction_factor": 3, "max_seeds": 3}


def test_the_best_get_more_seeds() -> None:
    searcher = searcher_of(config(stopping=RACE, seed=5, sampler="random"))
    given = run(searcher, 30, lambda s: 20 + 30 * abs(s.until - 0.7))
    repeated = [s for s in given if s["repeat"]]
    assert {s["repeat"] for s in repeated} == {1, 2}
    assert all(s["seed"] == 5 + s["repeat"] for s in given)
    first = {s["configuration"]: s for s in given if s["repeat"] == 0}
    assert all(s["schedule"] == first[s["configuration"]]["schedule"] for s in repeated)
    assert [s["trial"] for s in given] == list(range(30))
    decisions = searcher.decisions
    assert [d.configuration for d in decisions] == [s["configuration"] for s in repeated]
    assert {(d.policy, d.action, d.step, d.phase) for d in decisions} == (
        {("race", "promote", 90, "clean")}
    )


@pytest.mark.parametrize("stopping", [{"policy": "none"}, {**RACE, "max_seeds": 1}])
def test_without_a_race_every_trial_is_a_new_configuration(stopping: dict[str, Any]) -> None:
    searcher = searcher_of(config(stopping=stopping, sampler="random"))
    given = run(searcher, 30, lambda s: 1 + s.until)
    assert [s["configuration"] for s in given] == list(range(30))
    assert {(s["repeat"], s["seed"]) for s in given} == {(0, 0)}


NO_VALUE: dict[str, tuple[dict[str, Any] | None, bool]] = {
    "stopped": ({**LAST, "progress": 0.7, "fid": 0.1}, False),
    "failed": ({"failure": "loss", "done": True, "step": 9}, False),
    "NaN": ({**LAST, "fid": math.nan}, False),
    "error": ({**LAST, "fid": 0.1}, True),
    "mollified to the end": ({**LAST, "phase": "mollified", "fid": 0.1}, False),
}


@pytest.mark.parametrize("case", NO_VALUE)
def test_what_has_no_final_value_is_not_promoted(case: str) -> None:
    searcher = searcher_of(config(stopping=RACE, sampler="random"))
    for _ in range(3):
        searcher.suggest()
    searcher.complete(0, {**LAST, "fid": 9.0})
    searcher.complete(1, {**LAST, "fid": 8.0})
    result, error = NO_VALUE[case]
    searcher.complete(2, result, error)
    suggestion = searcher.suggest()
    assert isinstance(suggestion, dict)
    assert (suggestion["configuration"], suggestion["repeat"]) == (1, 1)
    (decision,) = searcher.decisions
    assert (decision.trial, decision.value, decision.competitors) == (1, 8.0, 3)


def test_a_repeated_run_is_one_more_observation(studies: list[optuna.Study]) -> None:
    searcher = searcher_of(config(stopping=RACE))
    for i, fid in enumerate((30.0, 10.0, 20.0, 12.0)):
        suggestion = searcher.suggest()
        searcher.complete(i, {**LAST, "fid": fid})
    assert isinstance(suggestion, dict)
    assert (suggestion["configuration"], suggestion["repeat"]) == (1, 1)
    linear, sigmoid, again = studies[0].trials
    assert [t.value for t in (linear, sigmoid, again)] == [10.0, 20.0, 12.0]
    assert again.params == linear.params


def test_samplers_are_those_of_the_config() -> None:
    made = {
        name: type(sampler(config(sampler=name), 8, 0))
        for name in ("shape", "tpe", "gp", "random")
    }
    assert made == {
        "shape": ShapeSampler,
        "tpe": StudySampler,
        "gp": StudySampler,
        "random": RandomSampler,
    }
