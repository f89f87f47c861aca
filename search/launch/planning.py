"""Measures each model of a search where its trials will run, and says what they will cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.schedules import Vanilla
from mollitune.search.config import ModelConfig, SearchConfig
from mollitune.search.data.images import side_of
from mollitune.search.training.stack import Stack, stackable
from mollitune.search.training.trial import Trial
from mollitune.search.training.tryout import try_model
from mollitune.search.tune.budget import (
    Costs,
    Plan,
    measure_costs,
    stack_size,
    with_share,
)
from mollitune.search.tune.context import Context
from mollitune.search.tune.device import in_own_memory
from mollitune.search.tune.environment import LOCAL
from mollitune.search.tune.faults import MEMORY_ADVICE
from mollitune.search.tune.placement import call_as_trial

from .cost import describe_cost
from .prepare import prepare

SLOW_STEP = 0.25
"""Seconds of a training step above which nothing is measured: it does not wait for Python."""


NOTHING_TO_GAIN, NO_ROOM = 1.0, 0.0
"""What stands for a ratio where none was measured."""


_SINGLES = 4  # trials that stand for all where they are trained one after the other


_STEPS = 3  # of each trial per round


_ROUNDS = 5  # the first one warms up


_NOT_MEASURED = {
    NOTHING_TO_GAIN: "its steps are long, or it cannot be stacked",
    NO_ROOM: "the device has no memory for so many",
}


def plan_evaluations(context: Context, console: Console) -> dict[str, Plan]:
    """Return how every model is evaluated, which is as asked, and say what the search will cost.

    Args:
        context: Config, data and reference of the search. Models are timed as Ray would run their
            trials if it runs, else here.
        console: Where the cost is told.

    Raises:
        MollituneError: If a model cannot be trained.
    """
    config = context.config
    names = ", ".join(entry.name for entry in config.model)
    what = f"cost: timing a few steps of {names}"
    say = partial(console.print, soft_wrap=True, highlight=False, markup=False)
    say(what)
    count = _stack_of_each(config)
    measured = call_as_trial(_measured, config, context, count, what=what, say=say)
    costs = {name: found for name, (found, _) in measured.items()}
    asked = Plan(config.fid.every, config.fid.samples, final=config.fid.final.spec)
    plans = {name: with_share(asked, config.steps_of(name), costs[name]) for name in costs}
    if config.resources.stack == "auto":
        plans = {name: replace(plan, gain=measured[name][1]) for name, plan in plans.items()}
        _tell_stacks(plans, count, console)
    lines = list(describe_cost(config, side_of(context.splits.shape), plans, costs))
    if warning := context.reference.small_sample_warning(config.fid.samples):
        lines.append(f"warning: {warning}")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    return plans


def measure_cost(config: SearchConfig, console: Console) -> None:
    """Say what a search will cost, from a few steps that are timed on this machine.

    Raises:
        MollituneError: As `prepare` does.
    """
    here = config.model_copy(update={"address": LOCAL})
    context = prepare(here, here.name, console)
    plan_evaluations(context, console)


def _stack_of_each(config: SearchConfig) -> int:
    """Return how many trials of each model a stack may have; they take turns."""
    if config.resources.stack != "auto":
        return 1
    size = stack_size(config.resources.most_stacked, config.trials, config.workers)
    return size // len(config.model)


def _tell_stacks(plans: Mapping[str, Plan], count: int, console: Console) -> None:
    """Say what each model gains if trials in one process are trained as one."""
    if count < 2:
        console.print("stack: one process per trial, as there are only few", soft_wrap=True)
        return
    for name, plan in plans.items():
        how = "as one" if plan.as_one else "one after the other"
        assert plan.gain is not None
        why = _NOT_MEASURED.get(plan.gain, f"as one is {plan.gain:.2g} times as fast")
        console.print(f"stack: {count} trials of {name} train {how}; {why}", soft_wrap=True)


def _measured(
    device: torch.device, context: Context, count: int
) -> dict[str, tuple[Costs, float]]:
    """Return for each model what it costs, and what it gains as a stack of so many trials."""
    return {
        entry.name: _measured_model(device, context, entry, count)
        for entry in context.config.model
    }


def _measured_model(
    device: torch.device, context: Context, entry: ModelConfig, count: int
) -> tuple[Costs, float]:
    try_model(entry.name, entry, context.splits.train, device)
    try:
        with in_own_memory():
            costs = _time_model(context, entry.name, device)
            few = count < 2
            return costs, NOTHING_TO_GAIN if few else stack_gain(
                context, entry.name, device, count
            )
    except RuntimeError as error:  # memory that is too small, above all
        advice = f" ({MEMORY_ADVICE})" if isinstance(error, torch.OutOfMemoryError) else ""
        text = f"model {entry.name} cannot be trained: {first_line(error)}{advice}"
        raise MollituneError(text) from error
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()  # the memory is the next model's now


def _time_model(context: Context, name: str, device: torch.device) -> Costs:
    compiled = context.config.resources.compile

    def evaluate(steps: int, samples: int) -> tuple[float, float, float]:
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
        trial.train()
        last = trial.report()
        plain = trial.evaluate(last.train_loss, last.step_seconds)
        more = last.eval_seconds - plain.eval_seconds
        return last.step_seconds, plain.eval_seconds, more

    if compiled:
        evaluate(2, 2)  # the code is made here; trials find it on disk, if it is theirs, too
    return measure_costs(evaluate)


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
        stack = Stack(_trials(context, name, count, device), _STEPS * _ROUNDS)
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
            graphs=context.config.resources.cuda_graphs,
        )
        for seed in range(count)
    ]
