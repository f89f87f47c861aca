"""Optimisers beside torch's own, single and stacked, and the learning rate."""

import math
from typing import Any

import pytest
import torch
from tests.search.bench import Bench, states
from tests.search.training.test_no_waiting import per_step, single
from tests.search.training.test_stack import assert_same
from torch import nn

from mollitune.schedules import Sigmoid
from mollitune.search.training.optimisers import KINDS, Stacked, learning_rate, optimiser_of
from mollitune.search.training.settings import Training
from mollitune.search.training.stack import train_together

PLAIN = {"adam": "Adam", "adamw": "AdamW", "adamax": "Adamax", "sgd": "SGD"}
OPTIONS: dict[str, Any] = {"lr": 0.03, "beta1": 0.8, "beta2": 0.9, "weight_decay": 0.1}


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_torchs_and_one_can_be_left_out(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    start, *slopes = torch.randn(8, 3, 2, generator=generator)
    models = [nn.ParameterList([start.clone()]) for _ in range(3)]
    how = Training.model_validate({"optimiser": kind, **OPTIONS})
    single, first, second = (optimiser_of(model.parameters(), how) for model in models)
    stack = torch.stack([start, start])
    stacked = Stacked(kind, [stack], models[1:], [first, second])

    wanted = nn.Parameter(start.clone())
    own = {"momentum": 0.8} if kind == "sgd" else {"betas": (0.8, 0.9)}
    plain = getattr(torch.optim, PLAIN[kind])([wanted], lr=0.03, weight_decay=0.1, **own)
    for number, slope in enumerate(slopes):
        skipped = torch.tensor(float(number in (0, 3)))
        spoilt = slope if not skipped else slope * math.nan
        vars(single).update(grad_scale=torch.tensor(4.0), found_inf=skipped)
        models[0][0].grad = 4 * spoilt
        single.step()
        grads, skips = torch.stack([4 * spoilt, slope]), torch.stack([skipped, torch.ones(())])
        stacked.step([grads], [0.03, 0.03], torch.tensor([4.0, 1.0]), skips)
        if not skipped:
            wanted.grad = slope
            plain.step()
    torch.testing.assert_close(models[0][0], wanted)
    torch.testing.assert_close(stack, torch.stack([wanted.detach(), start]))
    stacked.give_back()
    for name, value in plain.state[wanted].items():
        torch.testing.assert_close(single.state[models[0][0]][name], value)
        torch.testing.assert_close(first.state[models[1][0]][name], value)


UNLIKE: list[dict[str, Any]] = [
    {"lr": 1e-3, "lr_decay": "cosine", "clip_norm": 0.05, "weight_decay": 0.0},
    {"lr": 4e-3, "lr_decay": "linear", "clip_norm": None, "weight_decay": 0.1, "beta1": 0.5},
    {"lr": 2e-2, "warmup": 0.5, "clip_norm": 0.5, "beta2": 0.9},
]


@pytest.mark.parametrize("kind", KINDS)
def test_unlike_trials_of_a_stack_train_as_each_by_itself(bench: Bench, kind: str) -> None:
    together, alone = (
        [
            bench.trial(schedule=Sigmoid(until=0.6), seed=seed, steps=12, optimiser=kind, **how)
            for seed, how in enumerate(UNLIKE)
        ]
        for _ in range(2)
    )
    for _ in range(4):
        assert train_together(together) == [None] * 3
        for one, other in zip(together, alone, strict=True):
            other.train()
            assert_same(one, other)
            one.report()
            other.report()


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_goes_on_where_it_was_saved(bench: Bench, kind: str) -> None:
    how: dict[str, Any] = {"optimiser": kind, "lr_decay": "cosine", "weight_decay": 0.01}
    through, broken, resumed = (bench.trial(steps=12, **how) for _ in range(3))
    for trial in (through, broken):
        trial.train()
        trial.report()
    resumed.load_state_dict(broken.state_dict())
    for trial in (through, resumed):
        trial.train()
    found, wanted = (states(trial.state_dict()) for trial in (resumed, through))
    del found["seconds"], wanted["seconds"]
    assert found == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_no_step_waits(bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert per_step(single(bench, "vae", optimiser=kind), monkeypatch) == 0


@pytest.mark.parametrize(
    ("how", "shares"),
    [
        ({}, [0.2, 1, 1, 1, 1]),
        ({"warmup": 0}, [1, 1, 1, 1, 1]),
        ({"lr_decay": "linear"}, [0.2, 1, 2 / 3, 1 / 3, 0]),
        ({"lr_decay": "linear", "lr_floor": 0.1}, [0.2, 1, 0.7, 0.4, 0.1]),
        ({"lr_decay": "cosine"}, [0.2, 1, 0.75, 0.25, 0]),
        ({"lr_decay": "cosine", "warmup": 1}, [0.05, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_the_learning_rate(how: dict[str, Any], shares: list[float]) -> None:
    training = Training.model_validate({"lr": 3e-3, "warmup": 0.25, **how})
    found = [learning_rate(training, step, steps=20) for step in (0, 4, 9, 14, 19)]
    assert found == pytest.approx([3e-3 * share for share in shares], abs=1e-12)
