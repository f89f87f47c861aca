"""What a search will cost, on invented results."""

from typing import Any

import pytest

from mollitune.search.config import SearchConfig
from mollitune.search.launch import cost as planner
from mollitune.search.launch.cost import Cost, plan_cost


def plan(stopping: dict[str, Any] | None = None, **keys: Any) -> Cost:
    """Plan 24 runs of 60 steps, evaluated every 10, whose data are clean after 18."""
    plain: dict[str, Any] = {
        "name": "x",
        "model": ["vae"],
        "families": [{"linear": {"until": [0.2, 0.3]}}],
        "trials": 24,
        "steps": 60,
        "stopping": {"audit": 0.0, **(stopping or {})},
        **keys,
    }
    return plan_cost(SearchConfig.model_validate(plain), 8)


def test_without_stopping_every_run_costs_its_steps() -> None:
    assert plan({"policy": "none"}) == Cost(1440, 1440, 1440, 1440, 24)


def test_a_late_cut_saves_a_third_of_the_stopped() -> None:
    cost = plan({"policy": "late_cut"})
    assert cost.full == 1440
    assert cost.low <= cost.expected <= cost.high < cost.full
    # each costs 20 steps less; the first two, vanilla and about a third of the others go on
    assert cost.full - cost.expected == pytest.approx(20 * 21 * 2 / 3, rel=0.2)
    assert (cost.full - cost.low) % 20 == (cost.full - cost.high) % 20 == 0


def test_a_harder_cut_saves_more_and_an_audit_less() -> None:
    cut = plan({"policy": "late_cut"}).expected
    assert plan({"policy": "late_cut"}).expected == cut
    assert plan({"policy": "late_cut", "reduction_factor": 6}).expected < cut
    assert cut < plan({"policy": "late_cut", "audit": 0.5}).expected
    assert plan({"policy": "late_cut", "audit": 1.0}).expected == 1440


def test_mollified_runs_cannot_be_cut() -> None:
    slow = [{"linear": {"until": [0.8, 0.9]}}]
    assert plan({"policy": "late_cut"}, families=slow, trials=12).expected == 720


def test_probes_cost_their_branches() -> None:
    probe = {"policy": "probe", "grace": 0.5, "reduction_factor": 3}
    # one branch at step 30, of .3 of it
    assert plan({**probe, "audit": 1.0}).expected == 24 * (60 + 9)
    assert plan({**probe, "audit": 1.0, "probe_extra": 0.5}).expected == 24 * (60 + 15)
    assert plan(probe).expected > plan({**probe, "policy": "late_cut"}).expected


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_race_tries_fewer_schedules_with_more_seeds(seeds: int) -> None:
    cost = plan({"policy": "race", "within": "none", "max_seeds": seeds})
    assert (cost.full, cost.expected) == (1440, 1440)
    if seeds == 1:
        assert cost.configurations == 24
    else:
        # about a third gets a second seed, a ninth a third
        assert 14 <= cost.configurations <= 19


def test_within_a_race_only_first_runs_are_cut() -> None:
    race = plan({"policy": "race", "within": "late_cut"})
    assert plan({"policy": "late_cut"}).expected < race.expected < 1440


def test_models_with_steps_of_their_own() -> None:
    models = ["vae", {"name": "realnvp", "steps": 600}]
    cost = plan({"policy": "none"}, model=models)
    steps = 12 * 60 + 12 * 600
    assert cost == Cost(steps, steps, steps, steps, 24)


@pytest.mark.parametrize("stopping", [{"within": "late_cut"}, {"policy": "late_cut"}])
def test_a_large_search_is_scaled_up_from_its_beginning(
    stopping: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ["vae", {"name": "realnvp", "steps": 600}]
    whole = plan(stopping, model=models, trials=301)
    monkeypatch.setattr(planner, "SIMULATED", 150)
    scaled = plan(stopping, model=models, trials=301)
    assert scaled != whole
    assert scaled.full == whole.full == 151 * 60 + 150 * 600
    assert scaled.expected == pytest.approx(whole.expected, rel=0.02)
    assert scaled.configurations == pytest.approx(whole.configurations, rel=0.03)
    assert scaled.low <= scaled.expected <= scaled.high


def test_no_more_runs_are_simulated_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    run = planner._Simulation.run

    def count(simulation: planner._Simulation) -> None:
        nonlocal made
        made += 1
        run(simulation)

    monkeypatch.setattr(planner, "SIMULATED", 30)
    monkeypatch.setattr(planner._Simulation, "run", count)
    cost = plan({"policy": "none"}, trials=100_000)
    assert made == 30 * planner.REPETITIONS
    assert cost == Cost(6_000_000, 6_000_000, 6_000_000, 6_000_000, 100_000)
