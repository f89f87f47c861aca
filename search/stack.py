"""Several trials of one model trained as one: batched parameters, one step for all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from mollitune.models import GenerativeModel, draws_from, randn

from .stacked_adam import StackedAdam, clip
from .trial import TrainingDivergedError, Trial

_Tensors = dict[str, Tensor]


def train_together(trials: Sequence[Trial]) -> list[TrainingDivergedError | None]:
    """Train each trial to its next evaluation, as each would by itself.

    Batches, noise and clipping are each trial's own, and the numbers are those of training one
    after the other but for the rounding of batched arithmetic. A trial that diverges does not
    disturb the others.

    Args:
        trials: Trials that have not ended, alike but for schedule, seed and age.

    Returns:
        For each trial why it diverged; None if it did not, and is to be evaluated then.

    Raises:
        ValueError: If they are not alike, or have averaged weights.
    """
    _check(trials)
    errors: list[TrainingDivergedError | None] = [None] * len(trials)
    while left := [i for i, t in enumerate(trials) if errors[i] is None and _steps(t) > 0]:
        stack = Stack([trials[i] for i in left])
        for _ in range(min(_steps(trials[i]) for i in left)):
            stack.step()
        stack.give_back()
        for i, error in zip(left, stack.errors, strict=True):
            errors[i] = error
    return errors


def stackable(trial: Trial) -> bool:
    """Return whether trials like this one can be trained together.

    Not with averaged weights, nor if the loss draws random numbers of its own or branches on
    data, as a model of a user's own may.
    """
    if trial.averaged is not None:
        return False
    shape = (2, trial.spec.batch_size, *trial.image_shape)
    cuda = [trial.device] if trial.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), torch.no_grad():
        try:
            Stack([trial, trial]).loss(torch.zeros(shape, device=trial.device))
        except RuntimeError:
            return False
    return True


class Stack:
    """K trials whose parameters lie in one tensor each, until they are given back.

    Arguments:
        trials: The trials; they must not be used meanwhile.

    Attributes:
        errors: For each trial why it diverged; such a one makes no more steps.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.errors: list[TrainingDivergedError | None] = [None] * len(trials)
        self._trials = trials
        models = [trial.model for trial in trials]
        self._generators = [trial.noise_generator() for trial in trials]
        params, buffers = stack_module_state([_Loss(model) for model in models])
        self._params: _Tensors = {name: p.detach().requires_grad_() for name, p in params.items()}
        self._buffers: _Tensors = buffers
        self._loss = _Loss(models[0])
        self._losses = vmap(self._loss_of, in_dims=(0, 0, 0, 0))
        self._sizes: list[torch.Size] | None = None
        leaves = list(self._params.values())
        self._adam = StackedAdam(leaves, models, [trial.optimiser for trial in trials])

    def step(self) -> None:
        """Make one training step of each trial."""
        start = time.perf_counter()
        x = torch.stack([trial.batch(trial.step / trial.spec.steps) for trial in self._trials])
        losses = self.loss(x)
        leaves = list(self._params.values())
        found = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
        # some come transposed, and the fused Adam reads memory in the order of the parameters
        grads = [grad.contiguous() for grad in found]
        norms = clip(grads, self._trials[0].clip_norm)
        finite = torch.isfinite(losses.detach() + norms).tolist()
        usable = [ok and error is None for ok, error in zip(finite, self.errors, strict=True)]
        self._adam.step(grads, [trial.learning_rate for trial in self._trials], usable)
        seconds = (time.perf_counter() - start) / len(self._trials)
        for slot, loss in enumerate(losses.detach().unbind()):
            self._count(slot, loss if finite[slot] else None, seconds)

    def loss(self, x: Tensor) -> Tensor:
        """Return the loss of each model on a batch of its own.

        Args:
            x: Batches with shape (K, N, C, H, W).

        Returns:
            Losses with shape (K,).
        """
        losses: Tensor = self._losses(self._params, self._buffers, x, self._draws(x))
        return losses

    @torch.no_grad()
    def give_back(self) -> None:
        """Bring each trial to where its own training would have brought it."""
        self._adam.give_back()
        for slot, trial in enumerate(self._trials):
            own = _Loss(trial.model)
            for name, tensor in (*own.named_parameters(), *own.named_buffers()):
                stacked = self._params.get(name, self._buffers.get(name))
                assert stacked is not None
                tensor.copy_(stacked[slot])
            trial.keep_noise(self._generators[slot])

    def _count(self, slot: int, loss: Tensor | None, seconds: float) -> None:
        if self.errors[slot] is not None:
            return
        trial = self._trials[slot]
        try:
            if loss is None:
                trial.lose_step()
        except TrainingDivergedError as error:
            self.errors[slot] = error
        else:
            trial.stepped(loss, seconds)

    def _loss_of(
        self, params: _Tensors, buffers: _Tensors, x: Tensor, draws: list[Tensor]
    ) -> Tensor:
        own = iter(draws)
        with draws_from(lambda size, like: next(own)):
            loss: Tensor = functional_call(self._loss, (params, buffers), (x,))
        return loss

    def _draws(self, x: Tensor) -> list[Tensor]:
        """Return what each trial's loss draws, from its own generator: tensors with K first."""
        if self._sizes is None:
            self._sizes = self._drawn_sizes(x[0])
        return [
            torch.stack([randn(size, x, own) for own in self._generators]) for size in self._sizes
        ]

    def _drawn_sizes(self, x: Tensor) -> list[torch.Size]:
        """Return the size of each draw of the loss, in order: vmap cannot call generators."""
        sizes: list[torch.Size] = []

        def note(size: tuple[int, ...], like: Tensor) -> Tensor:
            sizes.append(torch.Size(size))
            return torch.zeros(size, dtype=like.dtype, device=like.device)

        params = {name: p[0].detach() for name, p in self._params.items()}
        buffers = {name: b[0].clone() for name, b in self._buffers.items()}
        with draws_from(note):
            functional_call(self._loss, (params, buffers), (x,))
        return sizes


class _Loss(nn.Module):
    """A model called for its loss, since `torch.func` calls ``forward``."""

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.loss(x)


def _steps(trial: Trial) -> int:
    """Training steps up to the next evaluation."""
    mark = trial.next_mark
    return 0 if mark is None else mark - trial.step


def _check(trials: Sequence[Trial]) -> None:
    def alike(trial: Trial) -> tuple[Any, ...]:
        s = trial.spec
        return (s.model, s.preset, s.hparams, s.batch_size, s.clip_norm, trial.device)

    if any(alike(trial) != alike(trials[0]) for trial in trials):
        raise ValueError("trials that are trained together may differ in schedule and seed only")
    if any(trial.averaged is not None for trial in trials):
        raise ValueError("trials with averaged weights cannot be trained together; leave out ema")
