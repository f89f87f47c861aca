"""Trials on a GPU: stacked, compiled, in bf16, and what they leave in its memory."""

import gc
from typing import Any

import numpy as np
import pytest
import torch
from tests.search.training.test_stack import SCHEDULES, SMALL

from mollitune.models import models
from mollitune.schedules import Sigmoid
from mollitune.search.data.images import Images, Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.settings import Training
from mollitune.search.training.spec import TrialSpec
from mollitune.search.training.stack import train_together
from mollitune.search.training.trial import Trial


def trials(
    splits: Splits, reference: Reference, device: torch.device, model: str, **more: Any
) -> list[Trial]:
    compiled = more.pop("compiled", False)
    settings = {"batch_size": 32, "hparams": SMALL[model], "steps": 12, "every": 1.0, **more}
    how = {name: settings.pop(name) for name in Training.model_fields if name in settings}
    return [
        Trial(
            TrialSpec(model, schedule, seed, training=Training(**how), **settings),
            splits,
            reference,
            80,
            device,
            compiled=compiled,
        )
        for seed, schedule in enumerate(SCHEDULES)
    ]


def losses(trial: Trial) -> torch.Tensor:
    found: torch.Tensor = trial.state_dict()["losses"]
    return found.cpu()


@pytest.mark.parametrize("model", models())
def test_a_stack_trains_as_its_trials(
    gpu: torch.device, digits: Splits, reference: Reference, model: str
) -> None:
    together, alone = (trials(digits, reference, gpu, model) for _ in range(2))
    assert train_together(together) == [None] * len(together)
    for one, other in zip(together, alone, strict=True):
        other.train()
        assert one.step == other.step == 12
        torch.testing.assert_close(losses(one), losses(other), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("model", ["vae", "hvae", "realnvp"])
def test_a_compiled_step_is_the_same(
    gpu: torch.device, digits: Splits, reference: Reference, model: str
) -> None:
    """`hvae` has second derivatives in its step."""
    eager = trials(digits, reference, gpu, model)[0]
    compiled = trials(digits, reference, gpu, model, compiled=True)[0]
    for trial in (eager, compiled):
        trial.train()
    torch.testing.assert_close(losses(compiled), losses(eager), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("model", ["vae", "realnvp"])
def test_bf16_trains_as_well_as_fp32(
    gpu: torch.device, digits: Splits, reference: Reference, model: str
) -> None:
    """To .1 bits per dim after 300 steps, which is less than two seeds differ by early on."""
    ends = []
    for precision in ("fp32", "bf16"):
        more: dict[str, Any] = {"steps": 300, "precision": precision, "hparams": {}}
        trial = trials(digits, reference, gpu, model, **more)[0]
        (last,) = trial.run()
        assert last.non_finite_losses == last.non_finite_samples == 0
        ends.append(last.bpd)
    assert ends[1] == pytest.approx(ends[0], abs=0.1)


def test_a_trial_leaves_nothing_in_the_memory_for_the_next(
    gpu: torch.device, digits: Splits, reference: Reference
) -> None:
    def run() -> None:
        for trial in trials(digits, reference, gpu, "realnvp"):
            list(trial.run())

    run()  # loads what stays: libraries' workspaces
    before = _allocated()
    run()
    assert _allocated() == before


def test_trials_of_a_process_share_the_images(gpu: torch.device, reference: Reference) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60_000, 1, 32, 32), dtype=np.uint8)
    own = Images("noise", pixels)
    before, size = _allocated(), pixels.nbytes
    spec = TrialSpec("vae", Sigmoid(until=0.6), 0, 2, 1.0)
    group = [Trial(spec, Splits(own, own, own), reference, 2, gpu)]
    one = _allocated() - before
    assert one >= size
    group.append(Trial(spec, Splits(own, own, own), reference, 2, gpu))
    assert _allocated() - before - one < size / 2
    group.clear()
    assert _allocated() == before


def _allocated() -> int:
    gc.collect()
    return torch.cuda.memory_allocated()
