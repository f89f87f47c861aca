"""Measures whether trials of a model are trained faster as one than one after the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from mollitune.schedules import Vanilla

from .shared import Shared
from .stack import Stack, stackable
from .trial import Trial

SLOW_STEP = 0.25
"""Seconds of a training step above which nothing is measured: it does not wait for Python."""
NOTHING_TO_GAIN, NO_ROOM = 1.0, 0.0
"""What stands for a ratio where none was measured."""
_SINGLES = 4  # trials that stand for all where they are trained one after the other
_STEPS = 3  # of each trial per round
_ROUNDS = 5  # the first one warms up


def stack_gain(shared: Shared, name: str, device: torch.device, count: int) -> float:
    """Return how many times faster trials of a model train as one than one after the other.

    Args:
        shared: Config and data of the search.
        name: The model.
        device: Where to train.
        count: Trials, >= 2.

    Returns:
        The ratio of the medians of some short rounds that take turns; `NOTHING_TO_GAIN` if a step
        takes more than `SLOW_STEP` seconds, or if the model cannot be trained so; `NO_ROOM` if the
        device has none for so many.
    """
    singles = _trials(shared, name, min(count, _SINGLES), device)
    _, warm = (_seconds(lambda: _train(singles[:1]), device) for _ in range(2))
    if warm / _STEPS > SLOW_STEP or not stackable(singles[0]):
        return NOTHING_TO_GAIN
    try:
        stack = Stack(_trials(shared, name, count, device))
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


def _trials(shared: Shared, name: str, count: int, device: torch.device) -> list[Trial]:
    marks = 2 * (_ROUNDS + 2)  # twice what is reached: later, nothing would be compiled any more
    return [
        Trial(
            replace(
                shared.whole_run(name, Vanilla(), seed), steps=_STEPS * marks, every=1 / marks
            ),
            shared.splits,
            shared.reference,
            2,
            device,
            compiled=shared.config.resources.compile,
        )
        for seed in range(count)
    ]
