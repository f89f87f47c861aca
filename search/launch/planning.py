"""Measures each model of a search where its trials will run, and plans their evaluations."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from rich.console import Console

from mollitune.schedules import Vanilla
from mollitune.search.config import SearchConfig
from mollitune.search.training.stack import Stack, stackable
from mollitune.search.training.trial import Trial
from mollitune.search.tune.budget import (
    Costs,
    Plan,
    is_least,
    make_plan,
    measure_costs,
    stack_size,
)
from mollitune.search.tune.cluster import assigned_device, call_on_worker
from mollitune.search.tune.context import Context

SLOW_STEP = 0.25
"""Seconds of a training step above which nothing is measured: it does not wait for Python."""


NOTHING_TO_GAIN, NO_ROOM = 1.0, 0.0
"""What stands for a ratio where none was measured."""


_SINGLES = 4  # trials that stand for all where they are trained one after the other


_STEPS = 3  # of each trial per round


_ROUNDS = 5  # the first one warms up


_Measure = Callable[[Context, str, torch.device], Any]
_NOT_MEASURED = {
    NOTHING_TO_GAIN: "its steps are long, or cannot be made as one",
    NO_ROOM: "the device has no room for so many",
}


def plan_evaluations(
    context: Context, resources: dict[str, float], console: Console
) -> dict[str, Plan]:
    """Return a plan for every model, and say what was chosen.

    Args:
        context: Config, data and reference of the search.
        resources: What one trial asks of Ray; the measurements ask for the same.
        console: Where the choice is told.
    """
    fid = context.config.fid
    free = fid.budget is None or is_least(Plan(fid.every, fid.samples))
    costs = {} if free else _measured(_time_model, context, resources)
    plans = choose_plans(context, costs, console)
    if context.config.resources.stack != "auto":
        return plans
    return _choose_stacks(plans, context, resources, console)


def choose_plans(
    context: Context, costs: Mapping[str, Costs], console: Console
) -> dict[str, Plan]:
    """Return a plan for every model, and say what was chosen.

    Args:
        context: Config, data and reference of the search.
        costs: What was measured of each model; one without gets what was asked for.
        console: Where the choice is told.
    """
    config = context.config
    asked, budget = Plan(config.fid.every, config.fid.samples), config.fid.budget
    plans = {entry.name: asked for entry in config.model}
    if budget is not None:
        for name, measured in costs.items():
            plans[name] = make_plan(asked, config.steps_of(name), budget, measured)
    for name, plan in plans.items():
        console.print(_sentence(name, plan, config), soft_wrap=True)
    for samples in sorted({plan.samples for plan in plans.values()}):
        warning = context.reference.small_sample_warning(samples)
        if warning:
            console.print(f"warning: {warning}", soft_wrap=True)
    return plans


def _choose_stacks(
    plans: Mapping[str, Plan], context: Context, resources: dict[str, float], console: Console
) -> dict[str, Plan]:
    """Return the plans with what each model gains if trials in one process are trained as one."""
    config = context.config
    size = stack_size(config.resources.most_stacked, config.trials, config.workers)
    count = size // len(config.model)  # the models take turns
    if count < 2:
        console.print("stack: a process for each trial, since there are few", soft_wrap=True)
        return {name: replace(plan, gain=NOTHING_TO_GAIN) for name, plan in plans.items()}
    gains = _measured(partial(stack_gain, count=count), context, resources)
    chosen = {name: replace(plan, gain=gains[name]) for name, plan in plans.items()}
    for name, gain in gains.items():
        how = "as one" if chosen[name].as_one else "one after the other"
        why = _NOT_MEASURED.get(gain, f"as one is {gain:.2g} times as fast")
        console.print(f"stack: {count} trials of {name} train {how}; {why}", soft_wrap=True)
    return chosen


def _measured(measure: _Measure, context: Context, resources: dict[str, float]) -> dict[str, Any]:
    """Time all models one after the other: here, or on a cluster as Ray would run their trials."""
    names = [entry.name for entry in context.config.model]
    if context.config.address is None:  # a worker would need seconds to start
        device = torch.device("cuda" if resources.get("gpu") else "cpu")
        return {name: _measure_on(measure, context, name, device) for name in names}
    return {name: call_on_worker(_in_worker, resources, measure, context, name) for name in names}


def _in_worker(measure: _Measure, context: Context, name: str) -> Any:
    return _measure_on(measure, context, name, assigned_device())


def _measure_on(measure: _Measure, context: Context, name: str, device: torch.device) -> Any:
    torch.set_num_threads(max(1, int(context.config.resources.cpu)))
    try:
        return measure(context, name, device)
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()  # the memory is the trials' now


def _time_model(context: Context, name: str, device: torch.device) -> Costs:
    compiled = context.config.resources.compile

    def evaluate(steps: int, samples: int) -> tuple[float, float]:
        spec = replace(context.whole_run(name, Vanilla(), seed=0), steps=steps)
        trial = Trial(
            spec,
            context.splits,
            context.reference,
            samples,
            device,
            context.config.fid.extra,
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


def stack_gain(context: Context, name: str, device: torch.device, count: int) -> float:
    """Return how many times faster trials of a model train as one than one after the other.

    Args:
        context: Config and data of the search.
        name: The model.
        device: Where to train.
        count: Trials, >= 2.

    Returns:
        The ratio of the medians of some short rounds that take turns; `NOTHING_TO_GAIN` if a step
        takes more than `SLOW_STEP` seconds, or if the model cannot be trained so; `NO_ROOM` if the
        device has none for so many.
    """
    singles = _trials(context, name, min(count, _SINGLES), device)
    _, warm = (_seconds(lambda: _train(singles[:1]), device) for _ in range(2))
    if warm / _STEPS > SLOW_STEP or not stackable(singles[0]):
        return NOTHING_TO_GAIN
    try:
        stack = Stack(_trials(context, name, count, device))
        single, as_one = _turns(lambda: _train(singles), lambda: _step(stack), device)
    except torch.OutOfMemoryError:
        return NO_ROOM
    return (single / len(singles)) / (as_one / count)


def _turns(
    one: Callable[[], object], other: Callable[[], object], device: torch.device
) -> tuple[float, float]:
    """Return the medians of what two works take."""
    rounds = [(_seconds(one, device), _seconds(other, device)) for _ in range(_ROUNDS)]
    first, second = (statistics.median(taken) for taken in zip(*rounds[1:], strict=True))
    return first, second


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _train(trials: Sequence[Trial]) -> None:
    """Train each trial by itself to its next mark, where the next round goes on."""
    for trial in trials:
        trial.train()
        trial.evaluated = trial.step


def _step(stack: Stack) -> None:
    for _ in range(_STEPS):
        stack.step()


def _trials(context: Context, name: str, count: int, device: torch.device) -> list[Trial]:
    marks = 2 * (_ROUNDS + 2)  # twice what is reached: later, nothing would be compiled any more
    return [
        Trial(
            replace(
                context.whole_run(name, Vanilla(), seed), steps=_STEPS * marks, every=1 / marks
            ),
            context.splits,
            context.reference,
            2,
            device,
            compiled=context.config.resources.compile,
        )
        for seed in range(count)
    ]
