"""Whether trials that share a process are trained as one, as measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.search.bench import write_faulty
from tests.search.training.test_stack import SMALL

from mollitune.schedules import Vanilla
from mollitune.search.config import SearchConfig
from mollitune.search.data.images import Splits
from mollitune.search.launch import planning as gain_module
from mollitune.search.launch.planning import plan_evaluations, stack_gain
from mollitune.search.launch.resumed import plans_of
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.stack import train_together
from mollitune.search.tune import beacon
from mollitune.search.tune import trainable as stacked_trainable
from mollitune.search.tune.budget import GAIN_LEAST, Plan
from mollitune.search.tune.context import Context
from mollitune.search.tune.trainable import RunsTrainable

CPU = torch.device("cpu")
VAE = {"name": "vae", "hparams": SMALL["vae"], "batch_size": 16}
MAF = {"name": "maf", "hparams": SMALL["maf"], "batch_size": 16}


class Make:
    """Makes contexts of a search that may train its trials as one."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __call__(self, **more: Any) -> Context:
        digits, kept, folder = self.parts
        config = SearchConfig.model_validate(
            {
                **{"name": "stacked", "model": [VAE], "families": ["linear"], "trials": 40},
                **{"workers": 1, "steps": 6},
                "fid": {"samples": 20, "every": 0.5},
                "resources": {"stack": "auto", "hang_seconds": None},
                **more,
            }
        )
        plans = {entry.name: Plan(0.5, 20) for entry in config.model}
        return Context(config, digits, kept, str(folder), plans)


@pytest.fixture
def make(digits: Splits, kept: Reference, tmp_path: Path) -> Make:
    return Make(digits, kept, tmp_path)


@pytest.fixture
def context(make: Make) -> Context:
    return make()


def _planned(context: Context) -> tuple[dict[str, Plan], list[str]]:
    console = Console(width=200)
    with console.capture() as captured:
        plans = plan_evaluations(context, console)
    return plans, [line for line in captured.get().splitlines() if line.startswith("stack: ")]


def test_a_gain_is_measured_and_touches_nothing(context: Context) -> None:
    before = torch.get_rng_state()
    assert 0 < stack_gain(context, "vae", CPU, 4) < 100
    assert torch.equal(torch.get_rng_state(), before)


def test_slow_steps_gain_nothing_and_this_is_not_told_as_a_ratio(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gain_module, "SLOW_STEP", 0.0)
    assert stack_gain(context, "vae", CPU, 4) == 1.0
    assert _planned(context)[1] == [
        "stack: 10 trials of vae train one after the other; its steps are long, or it cannot be "
        "stacked"
    ]


def test_nor_does_a_model_that_cannot_be_trained_so_or_has_no_room(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device's memory cannot be filled in a test; the error is the one that torch raises."""
    noisy = write_faulty(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    model = {"name": noisy, "hparams": {"own_noise": True}}
    assert stack_gain(make(model=[model]), noisy, CPU, 4) == 1.0

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(gain_module, "Stack", full)
    assert stack_gain(make(), "vae", CPU, 4) == 0.0


def test_each_model_is_measured_by_itself(make: Make) -> None:
    context = make(model=[VAE, MAF])
    plans, lines = _planned(context)
    assert all(plan.gain is not None and plan.gain > 0 for plan in plans.values())
    assert [line.split(" train ")[0] for line in lines] == [
        "stack: 5 trials of vae",
        "stack: 5 trials of maf",
    ]
    for plan, line in zip(plans.values(), lines, strict=True):
        assert ("train as one;" in line) is plan.as_one
        assert f"as one is {plan.gain:.2g} times as fast" in line


def test_few_trials_get_a_process_each(make: Make) -> None:
    context = make(trials=4)
    plans, lines = _planned(context)
    assert lines == ["stack: one process per trial, as there are only few"]
    assert replace(context, plans=plans).trials_per_process(4) == 1


def test_what_is_asked_for_is_not_measured(make: Make) -> None:
    context = make(resources={"stack": 4})
    plans, lines = _planned(context)
    assert (plans["vae"].gain, lines) == (None, [])
    assert replace(context, plans=plans).trials_per_process(40) == 4


def test_processes_are_shared_if_a_model_gains(make: Make) -> None:
    for gains, count in (((3.0,), 10), ((0.7,), 1), ((GAIN_LEAST,), 10), ((0.7, 2.0), 10)):
        context = make(model=[VAE, MAF][: len(gains)])
        models = (entry.name for entry in context.config.model)
        plans = {name: Plan(0.5, 20, gain=g) for name, g in zip(models, gains, strict=True)}
        assert replace(context, plans=plans).trials_per_process(40) == count


def test_a_search_that_goes_on_keeps_what_was_measured() -> None:
    evaluation = {"vae": {"every": 0.5, "samples": 20, "share": 0.1, "gain": 0.5}}
    older = {"maf": {"every": 0.5, "samples": 20, "share": None}}
    plans = plans_of({"evaluation": {**evaluation, **older}})
    assert plans == {"vae": Plan(0.5, 20, 0.1, 0.5), "maf": Plan(0.5, 20)}
    assert [plan.as_one for plan in plans.values()] == [False, True]


@pytest.mark.parametrize(
    ("gain", "averages", "sizes"),
    [(0.9, [0, 0, 0], []), (2.0, [0, 0, 0], [3, 3]), (None, [0, 0.1, 0], [2, 2])],
)
def test_a_process_trains_as_one_what_gains_and_can_be(
    make: Make,
    gain: float | None,
    averages: list[float],
    sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[int] = []

    def counting(trials: Any, *saving: Any) -> Any:
        trained.append(len(trials))
        return train_together(trials, *saving)

    monkeypatch.setattr(stacked_trainable, "train_together", counting)
    # Ray alone knows what the driver has ended
    monkeypatch.setattr(beacon, "get", lambda *_: None)
    context = make(model=VAE | {"ema": {"choices": [0, 0.1]}})
    own = replace(context, plans={"vae": Plan(0.5, 20, gain=gain)})

    class Own(RunsTrainable):
        def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
            super().setup(config, own)

    schedule = Vanilla().to_dict()
    shared = {"model": "vae", "schedule": schedule}
    trials = [
        {"trial": k, "seed": k, "settings": {"ema": average}, **shared}
        for k, average in enumerate(averages)
    ]
    process = Own({"trials": trials})
    results = [process.step()]
    averaged = {one.number: one.trial.averaged is not None for one in process._running}
    assert averaged == {k: average > 0 for k, average in enumerate(averages)}
    results.append(process.step())
    assert trained == sizes
    assert [r["done"] for r in results] == [False, True]
    assert [one["step"] for r in results for one in r["results"]] == [3] * 3 + [6] * 3
