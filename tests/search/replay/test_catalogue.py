from mollitune.schedules import Linear, Vanilla, families
from mollitune.search.config import SearchConfig
from mollitune.search.policy.source import PoolSource
from mollitune.search.policy.study import StudySampler
from mollitune.search.replay.comparison import policies, samplers


def test_names_are_unique() -> None:
    names = [policy.name for policy in policies(8, 3, 2)]
    assert len(set(names)) == len(names)


def test_the_first_is_what_a_config_asks_for_by_default() -> None:
    config = SearchConfig.model_validate({"name": "x", "model": "vae"})
    first = policies(8, 3, config.stopping.max_seeds)[0]
    assert (first.rule, first.marks) == (config.stopping.rule, config.stopping.marks)
    assert (first.seeds > 1) == config.stopping.races
    assert first.sampler is samplers(8)[config.sampler]


def test_arms_and_seeds_are_those_that_were_recorded() -> None:
    for policy in policies(8, 3, 4):
        assert policy.arms == 3
        assert policy.seeds == (4 if policy.name.startswith("race") else 1)
        assert bool(policy.marks) == (policy.rule != "none")


def test_names_say_what_the_policy_does() -> None:
    for policy in policies(8, 3, 4):
        made = samplers(8)[policy.name.split(", ")[1]](PoolSource([Linear()]), 0)
        assert type(policy.sampler(PoolSource([Linear()]), 0)) is type(made)
        assert policy.rule in policy.name or policy.rule == "none"


def test_eta_and_least_are_the_configs() -> None:
    stopping = SearchConfig.model_validate({"name": "x", "model": "vae"}).stopping
    for policy in policies(8, 3, 4):
        assert (policy.eta, policy.least) == (stopping.reduction_factor, stopping.min_competitors)


def test_every_sampler_of_the_config_can_be_replayed() -> None:
    field = SearchConfig.model_fields["sampler"].annotation
    assert set(samplers(8)) == set(field.__args__)  # type: ignore[union-attr]


def test_the_studies_search_all_families() -> None:
    pool = [Vanilla(), *(Linear(until=k / 20) for k in range(1, 20))]
    for name in ("tpe", "gp"):
        made = samplers(8)[name](PoolSource(pool), 0)
        assert isinstance(made, StudySampler)
        assert set(made._spaces) == set(families()) - {"vanilla"}
        assert made.ask(0) in pool
