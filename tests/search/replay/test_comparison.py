from statistics import mean, stdev

import pytest
from tests.search.policy.worlds import about, plain, recording

from mollitune.schedules import Linear, Vanilla, families
from mollitune.search.config import SearchConfig
from mollitune.search.policy.hyperspace import NOTHING
from mollitune.search.policy.source import PoolSource
from mollitune.search.policy.study import StudySampler
from mollitune.search.replay.comparison import Row, compare, policies, samplers
from mollitune.search.replay.replay import replay

POOL = recording([[20 + 100 * ((k + 1) / 13 - 0.6) ** 2, 21.0 + k % 4] for k in range(12)])
BUDGET, ORDERS = 4.0, 3
KNOWN = policies(8, 1, POOL.seeds)  # one arm: the pool is of one family


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return compare(POOL, BUDGET, ORDERS, side=8)


def test_every_policy_of_the_catalogue_has_a_row(rows: list[Row]) -> None:
    names = [policy.name for policy in KNOWN]
    assert sorted(row.name for row in rows) == sorted(names)


def test_the_lowest_regret_comes_first(rows: list[Row]) -> None:
    found = [row.regret for row in rows]
    assert found == sorted(found)
    assert found[0] >= 0
    assert found[0] < found[-1]


def test_a_row_is_the_mean_over_the_orders(rows: list[Row]) -> None:
    (chance,) = [policy for policy in KNOWN if policy.name == "none, random"]
    outcomes = [replay(POOL, chance, BUDGET, seed) for seed in range(ORDERS)]
    lost = [POOL.values[o.chosen] - min(POOL.values) for o in outcomes]
    (row,) = [row for row in rows if row.name == chance.name]
    assert row == Row(
        name="none, random",
        regret=about(mean(lost)),
        error=about(stdev(lost) / ORDERS**0.5),
        cost=4.0,
        configurations=4.0,
        runs=4.0,
        stopped=0.0,
    )
    assert row.numbers == (row.regret, row.error, 4.0, 4.0, 4.0, 0.0)


def test_costs_are_alike(rows: list[Row]) -> None:
    for row in rows:
        assert BUDGET <= row.cost < BUDGET + 1
        assert row.configurations <= row.runs
        assert (row.configurations < row.runs) <= row.name.startswith("race")


# The catalogue.


def test_the_first_is_what_a_config_asks_for_by_default() -> None:
    config = SearchConfig.model_validate({"name": "x", "model": "vae"})
    first = policies(8, 3, config.stopping.max_seeds)[0]
    assert (first.rule, first.marks) == (config.stopping.rule, config.stopping.marks)
    assert (first.seeds > 1) == config.stopping.races
    assert first.sampler is samplers(8)[config.sampler]
    stopping = config.stopping
    for policy in policies(8, 3, 4):
        assert (policy.eta, policy.least) == (stopping.reduction_factor, stopping.min_competitors)


def test_arms_and_seeds_are_those_that_were_recorded() -> None:
    known = policies(8, 3, 4, ["probe"])
    assert len({policy.name for policy in known}) == len(known) == 10
    for policy in known:
        assert policy.arms == 3
        assert policy.seeds == (4 if policy.name.startswith("race") else 1)
        assert bool(policy.marks) == (policy.rule != "none")


def test_every_sampler_of_the_config_can_be_replayed() -> None:
    field = SearchConfig.model_fields["sampler"].annotation
    assert set(samplers(8)) == set(field.__args__)  # type: ignore[union-attr]


def test_the_studies_search_all_families() -> None:
    pool = plain(Vanilla(), *(Linear(until=k / 20) for k in range(1, 20)))
    for name in ("tpe", "gp"):
        made = samplers(8)[name](PoolSource(pool), 0, NOTHING)
        assert isinstance(made, StudySampler)
        assert set(made._spaces) == set(families()) - {"vanilla"}
        assert made.ask(0) in pool
