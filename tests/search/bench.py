"""Small trials on digits, and what of them must be equal."""

import dataclasses
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from mollitune.schedules import Schedule, Sigmoid
from mollitune.search.data.images import Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.settings import Training
from mollitune.search.training.trial import Evaluation, Trial, TrialSpec

CPU = torch.device("cpu")
FID_SAMPLES = 80
HPARAMS: dict[str, dict[str, Any]] = {
    "vae": {"latent": 4, "hidden": 16},
    "realnvp": {"scales": 1, "hidden": 4, "blocks": 0},
}
MOLLIFY = Sigmoid(until=0.6)

USER_MODELS = '''
import torch
from torch import nn


class Faulty(nn.Module):
    """Gives a NaN loss on every call from number ``first`` on, up to ``count`` of them."""

    def __init__(
        self, shape, first=0, count=0, bad_samples=0, gradient_only=False, steepness=1.0,
        own_noise=False,
    ):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(shape))
        self.calls, self.first, self.count, self.bad_samples = 0, first, count, bad_samples
        self.gradient_only, self.steepness = gradient_only, steepness
        self.own_noise = own_noise  # drawn from torch's global generator

    def loss(self, x):
        if self.own_noise:
            x = x + torch.randn_like(x)
        loss = self.steepness * (x - self.mean).square().mean()
        self.calls += 1
        bad = self.first < self.calls <= self.first + self.count
        if bad and self.gradient_only:
            return loss + (self.mean - self.mean).square().sum().sqrt()  # 0, its slope NaN
        return loss * torch.nan if bad else loss

    def sample(self, n, generator=None, temperature=1.0):
        x = torch.randn((n, *self.mean.shape), generator=generator).clamp(-1, 1)
        x[: self.bad_samples] = torch.nan
        return x

    def bits_per_dim(self, x, generator=None):
        return (x - self.mean).square().flatten(1).mean(1)
'''


def write_faulty(folder: Path) -> str:
    """Write a user's own model that fails when it is told to; return how to name it."""
    name = f"faulty_{folder.name}"
    (folder / f"{name}.py").write_text(textwrap.dedent(USER_MODELS))
    return f"{name}:Faulty"


class Bench:
    """Makes small trials on digits."""

    def __init__(self, digits: Splits, reference: Reference) -> None:
        self._digits = digits
        self._reference = reference

    def trial(
        self,
        model: str = "vae",
        schedule: Schedule = MOLLIFY,
        seed: int = 3,
        steps: int = 40,
        every: float = 0.25,
        alive: Callable[[], None] = lambda: None,
        compiled: bool = False,
        extras: Sequence[str] = (),
        **more: Any,
    ) -> Trial:
        settings = {"batch_size": 32, "hparams": HPARAMS.get(model, {}), **more}
        how = {name: settings.pop(name) for name in Training.model_fields if name in settings}
        spec = TrialSpec(model, schedule, seed, steps, every, Training(**how), **settings)
        return Trial(
            *(spec, self._digits, self._reference, FID_SAMPLES, CPU, extras),
            alive=alive,
            compiled=compiled,
        )


def numbers(evaluation: Evaluation) -> dict[str, Any]:
    """All fields but the times, comparable with ==."""
    row = dataclasses.asdict(evaluation)
    del row["step_seconds"], row["eval_seconds"]
    return {**row, "samples": row["samples"].tobytes()}


def states(value: Any) -> Any:
    """A state with the bytes of its tensors in their place, comparable with ==."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: states(part) for key, part in value.items()}
    return [states(part) for part in value] if isinstance(value, list | tuple) else value


def weights(trial: Trial) -> dict[str, bytes]:
    state = trial.state_dict()["model"]
    return {name: value.numpy().tobytes() for name, value in state.items()}
