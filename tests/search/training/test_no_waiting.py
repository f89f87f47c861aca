"""A training step neither reads from the device nor copies to it: a GPU is not waited for."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from tests.search.bench import Bench
from tests.search.training.test_stack import SMALL, assert_same, trials
from torch.utils._python_dispatch import TorchDispatchMode

from mollitune.models import models
from mollitune.schedules import families, lookup
from mollitune.search.training import graphs
from mollitune.search.training.stack import train_together

ATEN = torch.ops.aten
WAITING = {
    *(ATEN._local_scalar_dense, ATEN.is_nonzero, ATEN.nonzero, ATEN.masked_select),  # reads
    *(ATEN.lift_fresh, ATEN.lift_fresh_copy),  # tensors of Python's numbers
}


class Waits(TorchDispatchMode):
    """Counts what would wait for a GPU, or bring something there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        what = func.overloadpacket
        moves = what is ATEN._to_copy and kwargs.get("device") is not None
        masks = what is ATEN.index and any(
            i is not None and i.dtype == torch.bool for i in args[1]
        )
        self.count += bool(moves or masks or what in WAITING)
        return func(*args, **kwargs)


def waits(
    train: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    methods: Sequence[str] = ("cpu", "numpy", "tolist"),
) -> int:
    mode = Waits()
    with mode, monkeypatch.context() as patch:
        for name in methods:  # which torch does not dispatch on a processor
            own = getattr(torch.Tensor, name)

            def counted(self: torch.Tensor, *args: Any, own: Any = own, **more: Any) -> Any:
                mode.count += 1
                return own(self, *args, **more)

            patch.setattr(torch.Tensor, name, counted)
        train()
    return mode.count


def per_step(prepare: Callable[[float], Callable[[], object]], patch: pytest.MonkeyPatch) -> int:
    """What five more steps of a training wait for; to begin and to end it may take some."""
    few, more = (waits(prepare(steps / 20), patch) for steps in (5, 10))
    return more - few


def single(bench: Bench, model: str, **how: Any) -> Callable[[float], Callable[[], object]]:
    def prepare(every: float) -> Callable[[], object]:
        hparams = SMALL.get(model, {})
        return bench.trial(model, hparams=hparams, steps=20, every=every, **how).train

    return prepare


def test_the_counter_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(2)
    acts: list[Callable[[], object]] = [
        *(lambda: x.sum().item(), lambda: x.tolist(), lambda: x.cpu(), lambda: bool(x[0] > 0)),
        *(lambda: torch.tensor(1.0), lambda: x[[0, 1]], lambda: torch.full_like(x, 2)[x > 0]),
    ]
    for act in acts:
        assert waits(act, monkeypatch) > 0
    assert waits(lambda: torch.where(x > 0, x, 0).clamp(min=1.0), monkeypatch) == 0


@pytest.mark.parametrize("model", models())
def test_no_step_of_a_model_waits(
    bench: Bench, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert per_step(single(bench, model), monkeypatch) == 0

    def stacked(every: float) -> Callable[[], object]:
        group = trials(bench, model, steps=20, every=every)
        return lambda: train_together(group)

    assert per_step(stacked, monkeypatch) == 0


@pytest.mark.parametrize("family", families())
def test_no_mollified_step_waits(
    bench: Bench, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = lookup(family).search_space(8)
    parameters = {name: what.sample(random.Random(0)) for name, what in space.items()}
    schedule = lookup(family)(**parameters)
    assert per_step(single(bench, "vae", schedule=schedule), monkeypatch) == 0


def test_a_captured_step_is_the_step(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a capture that runs what it recorded: what is brought in and taken out is right."""

    class Replay:
        def __init__(self, function: Callable[[], torch.Tensor]) -> None:
            self.function, self.output = function, torch.empty(len(captured))

        def __call__(self) -> None:
            self.output.copy_(self.function())

    def capture(function: Callable[[], torch.Tensor]) -> tuple[Any, torch.Tensor]:
        replay = Replay(function)
        replays.append(replay)
        return replay, replay.output

    replays: list[Replay] = []
    captured, eager = (trials(bench, steps=40) for _ in range(2))
    monkeypatch.setattr(graphs, "captured", capture)
    for trial in captured:
        trial.graphs = True
    for group in (captured, eager):
        for _ in range(2):
            assert train_together(group) == [None] * len(group)
            for trial in group:
                trial.report()
    assert len(replays) == 2  # one for each interval
    for one, other in zip(captured, eager, strict=True):
        assert_same(one, other)
