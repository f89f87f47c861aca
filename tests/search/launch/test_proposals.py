"""What decides on the runs of a search, from its config."""

from typing import Any

import pytest

from mollitune._errors import MollituneError
from mollitune.schedules import Float, Sigmoid
from mollitune.search.config import SearchConfig
from mollitune.search.launch.proposals import arms, proposer, sampler
from mollitune.search.launch.resumed import config_of, known_prior
from mollitune.search.policy.hyperspace import NOTHING
from mollitune.search.policy.proposer import Proposal
from mollitune.search.policy.samplers import RandomSampler, ShapeSampler
from mollitune.search.policy.study import StudySampler


def config(**keys: object) -> SearchConfig:
    plain = {
        "name": "run",
        "model": ["vae"],
        "families": ["linear", "sigmoid"],
        "trials": 30,
        "stopping": {"policy": "late_cut"},
    }
    return SearchConfig.model_validate({**plain, **keys})


def proposed(config: SearchConfig, count: int) -> list[Proposal]:
    """Start runs one after the other and complete each."""
    run, made = proposer(config, 8), []
    for trial in range(count):
        made.append(run.next())
        run.started(made[-1])
        run.ended(trial, "completed", 1 + 10 * made[-1].schedule.until, 90)
    return made


def test_arms_come_first_for_each_model_then_each_has_a_sampler_of_its_own() -> None:
    made = proposed(config(model=["vae", "realnvp"]), 12)
    assert [(p.run.model, p.schedule.family) for p in made[:6]] == [
        ("vae", "vanilla"),
        ("realnvp", "vanilla"),
        ("vae", "sigmoid"),
        ("realnvp", "sigmoid"),
        ("vae", "linear"),
        ("realnvp", "linear"),
    ]
    assert made[2].schedule == Sigmoid(start=0, end=3, tau=0.7, until=0.6)
    assert [p.run.model for p in made[6:]] == ["vae", "realnvp"] * 3  # then in turn
    vae, realnvp = ([p.schedule for p in made[6 + k :: 2]] for k in (0, 1))
    assert all(one != two for one, two in zip(vae, realnvp, strict=True))


def test_arms_are_ordered_and_no_curve_comes_twice() -> None:
    tried = arms(config(families=["edm", "linear", "knots", "sigmoid"]), side=8)
    assert [c.schedule.family for _, c in tried] == ["vanilla", "sigmoid", "linear", "edm"]
    apart = config(families=["edm", "linear", {"knots": {"until": 0.3}}])
    assert [c.schedule.family for _, c in arms(apart, side=8)] == [
        "vanilla",
        "linear",
        "edm",
        "knots",
    ]


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
    names = [c.schedule.family for _, c in arms(config(families=["vanilla", "linear"]), side=8)]
    assert names == ["vanilla", "linear"]


def test_only_vanilla_is_searched_if_nothing_else_is_asked_for() -> None:
    made = proposed(config(families=["vanilla"], trials=3), 3)
    assert [p.schedule.family for p in made] == ["vanilla"] * 3


@pytest.mark.parametrize(
    ("stopping", "most"),
    [
        ({"policy": "race", "max_seeds": 3}, 2),
        ({"policy": "race", "max_seeds": 1}, 0),
        ({"policy": "none"}, 0),
    ],
)
def test_a_race_gives_the_best_more_seeds(stopping: dict[str, Any], most: int) -> None:
    made = proposed(config(stopping=stopping, seed=5, sampler="random"), 30)
    assert max(p.run.repeat for p in made) == most
    assert all(p.seed == 5 + p.run.repeat for p in made)


def test_samplers_are_those_of_the_config() -> None:
    made = {
        name: type(sampler(config(sampler=name), 8, 0, NOTHING))
        for name in ("shape", "tpe", "gp", "random")
    }
    assert made == {
        "shape": ShapeSampler,
        "tpe": StudySampler,
        "gp": StudySampler,
        "random": RandomSampler,
    }


def test_a_search_of_before_keeps_its_linear_ranges() -> None:
    families = [{"cosine": {"tau": [0.5, 2.0], "until": 0.5}}, {"blur": {"curve": ["log"]}}]
    stored = {
        "name": "old",
        "model": [{"name": "vae"}],
        "trials": 8,
        "fid": {},
        "families": families,
    }
    assert SearchConfig.model_validate(stored).families[0].overrides["tau"] == Float(0.5, 2, True)
    old = config_of({"config": stored})
    assert old.families[0].overrides == {"tau": Float(0.5, 2.0), "until": 0.5}
    assert config_of({"config": old.to_dict()}).families == old.families


@pytest.mark.parametrize("damaged", [[1], {"vae": [{"search": "first"}]}, {"vae": 3}])
def test_a_damaged_prior_of_a_search_that_goes_on_is_named(damaged: object) -> None:
    with pytest.raises(MollituneError, match=r"search\.json is damaged at prior: restore it"):
        known_prior({"prior": damaged})
    assert known_prior({}) == known_prior({"prior": None}) == {}
