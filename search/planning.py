"""Measures each model of a search where its trials will run, and plans their evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import ray
import torch
from rich.console import Console

from mollitune.schedules import Vanilla

from .budget import Costs, Plan, is_least, make_plan, measure_costs
from .carrier import stack_size
from .config import SearchConfig
from .shared import Shared
from .stack_gain import NO_ROOM, NOTHING_TO_GAIN, stack_gain
from .trial import Trial

_Measure = Callable[[Shared, str, torch.device], Any]
_NOT_MEASURED = {
    NOTHING_TO_GAIN: "its steps are long, or cannot be made as one",
    NO_ROOM: "the device has no room for so many",
}


def plan_evaluations(
    shared: Shared, resources: dict[str, float], console: Console
) -> dict[str, Plan]:
    """Return a plan for every model, and say what was chosen.

    Args:
        shared: Config, data and reference of the search.
        resources: What one trial asks of Ray; the measurements ask for the same.
        console: Where the choice is told.
    """
    fid = shared.config.fid
    free = fid.budget is None or is_least(Plan(fid.every, fid.samples))
    costs = {} if free else _measured(_time_model, shared, resources)
    plans = choose_plans(shared, costs, console)
    if shared.config.resources.stack != "auto":
        return plans
    return _choose_stacks(plans, shared, resources, console)


def choose_plans(shared: Shared, costs: Mapping[str, Costs], console: Console) -> dict[str, Plan]:
    """Return a plan for every model, and say what was chosen.

    Args:
        shared: Config, data and reference of the search.
        costs: What was measured of each model; one without gets what was asked for.
        console: Where the choice is told.
    """
    config = shared.config
    asked, budget = Plan(config.fid.every, config.fid.samples), config.fid.budget
    plans = {entry.name: asked for entry in config.model}
    if budget is not None:
        for name, measured in costs.items():
            plans[name] = make_plan(asked, config.steps_of(name), budget, measured)
    for name, plan in plans.items():
        console.print(_sentence(name, plan, config), soft_wrap=True)
    for samples in sorted({plan.samples for plan in plans.values()}):
        warning = shared.reference.small_sample_warning(samples)
        if warning:
            console.print(f"warning: {warning}", soft_wrap=True)
    return plans


def _choose_stacks(
    plans: Mapping[str, Plan], shared: Shared, resources: dict[str, float], console: Console
) -> dict[str, Plan]:
    """Return the plans with what each model gains if trials in one process are trained as one."""
    config = shared.config
    size = stack_size(config.resources.most_stacked, config.trials, config.workers)
    count = size // len(config.model)  # the models take turns
    if count < 2:
        console.print("stack: a process for each trial, since there are few", soft_wrap=True)
        return {name: replace(plan, gain=NOTHING_TO_GAIN) for name, plan in plans.items()}
    gains = _measured(partial(stack_gain, count=count), shared, resources)
    chosen = {name: replace(plan, gain=gains[name]) for name, plan in plans.items()}
    for name, gain in gains.items():
        how = "as one" if chosen[name].as_one else "one after the other"
        why = _NOT_MEASURED.get(gain, f"as one is {gain:.2g} times as fast")
        console.print(f"stack: {count} trials of {name} train {how}; {why}", soft_wrap=True)
    return chosen


def _measured(measure: _Measure, shared: Shared, resources: dict[str, float]) -> dict[str, Any]:
    """Time all models one after the other: here, or on a cluster as Ray would run their trials."""
    names = [entry.name for entry in shared.config.model]
    if shared.config.address is None:  # a worker would need seconds to start
        device = torch.device("cuda" if resources.get("gpu") else "cpu")
        return {name: _measure_on(measure, shared, name, device) for name in names}
    remote = ray.remote(_in_worker).options(
        num_cpus=resources["cpu"],
        num_gpus=resources.get("gpu", 0),
        resources=shared.config.resources.custom,
        max_retries=2,
    )
    common = ray.put(shared)
    return {name: ray.get(remote.remote(measure, common, name)) for name in names}


def _in_worker(measure: _Measure, shared: Shared, name: str) -> Any:
    device = torch.device("cuda" if ray.get_gpu_ids() else "cpu")
    return _measure_on(measure, shared, name, device)


def _measure_on(measure: _Measure, shared: Shared, name: str, device: torch.device) -> Any:
    torch.set_num_threads(max(1, int(shared.config.resources.cpu)))
    try:
        return measure(shared, name, device)
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()  # the memory is the trials' now


def _time_model(shared: Shared, name: str, device: torch.device) -> Costs:
    compiled = shared.config.resources.compile

    def evaluate(steps: int, samples: int) -> tuple[float, float]:
        spec = replace(shared.whole_run(name, Vanilla(), seed=0), steps=steps)
        trial = Trial(
            spec,
            shared.splits,
            shared.reference,
            samples,
            device,
            shared.config.fid.extra,
            compiled=compiled,
        )
        (last,) = trial.run()
        return last.step_seconds, last.eval_seconds

    if compiled:
        evaluate(2, 2)  # the code is made here; trials find it on disk, if it is theirs, too
    return measure_costs(evaluate)


def _sentence(name: str, plan: Plan, config: SearchConfig) -> str:
    text = f"evaluation of {name}: {plan.evaluations} times on {plan.samples:,} samples"
    if plan.share is None or config.fid.budget is None:
        return text
    text += f", about {plan.share:.0%} of the time"
    if plan.samples < config.fid.samples or plan.every > config.fid.every:
        text += f" (asked: every {config.fid.every:.3g} on {config.fid.samples:,})"
    if plan.share > config.fid.budget + 1e-9:
        text += f"; more than fid.budget={config.fid.budget:g}, but never less than this"
    return text
