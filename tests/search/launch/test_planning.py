"""How trials are evaluated, which no clock decides, and what is said of their cost."""

import re
from dataclasses import replace

import pytest
from rich.console import Console

from mollitune.search.config import SearchConfig
from mollitune.search.data.images import Splits
from mollitune.search.launch.cost import describe_cost
from mollitune.search.launch.planning import plan_evaluations
from mollitune.search.metrics.reference import Reference
from mollitune.search.tune.budget import Costs, Plan, with_share
from mollitune.search.tune.context import Context


def config(**keys: object) -> SearchConfig:
    models = [
        {"name": "vae", "hparams": {"hidden": 8, "latent": 2}},
        {"name": "maf", "hparams": {"hidden": 8, "blocks": 1}, "steps": 40},
    ]
    fid = {"samples": 1000, "every": 0.25}
    plain = {"name": "planned", "model": models, "families": ["linear"], "steps": 20, "fid": fid}
    return SearchConfig.model_validate({**plain, **keys})


def told(config: SearchConfig, costs: Costs) -> list[str]:
    asked = Plan(config.fid.every, config.fid.samples)
    plans = {e.name: with_share(asked, config.steps_of(e.name), costs) for e in config.model}
    return list(describe_cost(config, 8, plans, dict.fromkeys(plans, costs)))


def test_models_are_timed_and_evaluated_as_asked(digits: Splits, kept: Reference) -> None:
    console = Console(width=200)
    with console.capture() as captured:
        plans = plan_evaluations(Context(config(), digits, kept, "nowhere", {}), console)
    assert {name: (p.evaluations, p.samples) for name, p in plans.items()} == {
        "vae": (6, 1000),
        "maf": (6, 1000),
    }
    text = captured.get()
    assert re.search(r"cost: vae about \d+:\d\d per trial: 20 steps of ", text)
    assert "cost: 24 trials, 2 at once: about " in text


def test_the_cost_is_told_in_minutes_and_what_stopping_may_save() -> None:
    costs = Costs(step=1.0, evaluation=0.5, sample=0.0015)
    lines = told(config(trials=60, stopping={"policy": "none"}), costs)
    assert lines[0] == ("cost: vae about 0:28 per trial: 20 steps of 1 s, 4 evaluations of 2 s")
    assert lines[2] == "cost: 60 trials, 2 at once: about 19:00"
    dearer = told(config(trials=60), replace(costs, last=0.004))[0]
    assert dearer == (
        "cost: vae about 0:32 per trial: 20 steps of 1 s, 4 evaluations of 2 s, "
        "the last one 4 s more"
    )
    raced = told(config(trials=60), costs)[-1]
    assert re.search(r"; about \d\d configurations are tried, the rest are further seeds$", raced)
    stopped = told(config(trials=60, stopping={"policy": "asha", "audit": 0.0}), costs)[-1]
    found = re.search(r"about 19:00 if none is stopped, (\d+):\d\d to (\d+):\d\d with", stopped)
    assert found
    assert 8 < int(found[1]) <= int(found[2]) < 19


@pytest.mark.parametrize(
    ("sample", "hint"),
    [
        (0.0001, None),
        (0.002, "takes 50% of the time of maf; fid.samples=700"),
        (0.1, "fid.every=0.25 fid.samples=500"),
    ],
)
def test_cheaper_evaluations_are_advised_where_they_take_long(
    sample: float, hint: str | None
) -> None:
    hints = [line for line in told(config(), Costs(0.2, 0.0, sample)) if line.startswith("hint")]
    assert bool(hints) == (hint is not None), hints
    print(hints)
