"""Several trials of one model trained as one: batched parameters, one step for all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import stack_module_state

from mollitune.models import allow_tf32, is_own, randn, spread

from .graphs import Graphed
from .optimisers import Stacked, excess, in_layout, total_norms
from .programs import (
    Loss,
    Program,
    Tensors,
    drawn_sizes,
    is_compiled,
    key_of,
    program,
    side_by_side,
    untraced,
)
from .trial import TrainingDivergedError, Trial

EACH_ITS_OWN = {
    *("lr", "beta1", "beta2", "weight_decay", "warmup", "lr_decay", "lr_floor", "clip_norm"),
}
"""Settings in which the trials of a stack may differ; averaged weights it has none."""


def train_together(
    trials: Sequence[Trial],
    due: Callable[[], bool] = lambda: False,
    save: Callable[[Trial], None] = lambda trial: None,
) -> list[TrainingDivergedError | None]:
    """Train each trial to its next evaluation, as each would by itself.

    Batches, noise and clipping are each trial's own, and the numbers are those of training one
    after the other but for the rounding of batched arithmetic. A trial that diverges does not
    disturb the others.

    Args:
        trials: Trials that have not ended, alike but for schedule, seed, age and `EACH_ITS_OWN`.
        due: Asked after each step whether the trials are to be saved.
        save: Called with each that did not diverge then; `Trial.state_dict` may be taken in it.

    With `Trial.graphs` also a single one is trained so: the step is a CUDA graph then.

    Returns:
        For each trial why it diverged; None if it did not, and is to be evaluated then.

    Raises:
        ValueError: If they are not alike, or have averaged weights.
    """
    _check(trials)
    errors: list[TrainingDivergedError | None] = [None] * len(trials)
    while left := [i for i, t in enumerate(trials) if errors[i] is None and _steps(t) > 0]:
        steps = min(_steps(trials[i]) for i in left)
        stack = Stack([trials[i] for i in left], steps)
        for _ in range(steps):
            stack.step()
            if due():
                stack.give_back()
                for i, error in zip(left, stack.errors, strict=True):
                    if error is None:
                        save(trials[i])
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
    shape = (2, trial.spec.training.batch_size, *trial.image_shape)
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
        steps: Steps that will be made.

    Attributes:
        errors: For each trial why it diverged; what becomes of such a one does not matter.
    """

    def __init__(self, trials: Sequence[Trial], steps: int = 0) -> None:
        self.errors: list[TrainingDivergedError | None] = [None] * len(trials)
        self._trials = trials
        self._graphs = trials[0].graphs and is_own(trials[0].spec.model)
        allow_tf32(trials[0].spec.training.precision == "tf32")  # until a trial is evaluated
        models = [trial.model for trial in trials]
        self._generators = [trial.noise_generator() for trial in trials]
        params, buffers = stack_module_state([Loss(model) for model in models])
        self._params: Tensors = {name: _laid_out(p.detach()) for name, p in params.items()}
        self._buffers: Tensors = buffers
        self._loss = Loss(models[0])
        self._losses = side_by_side(self._loss, trials[0].spec.training.precision)
        self._sizes: list[torch.Size] | None = None
        self._program: Program | None = None
        leaves = list(self._params.values())
        kind, device = trials[0].spec.training.optimiser, trials[0].device
        self._optimiser = Stacked(kind, leaves, models, [trial.optimiser for trial in trials])
        self._limits = torch.tensor([trial.clip_norm for trial in trials], device=device)
        # known beforehand, so that they need not be brought to a GPU at every step
        rates = [[t.learning_rate(t.step + i) for t in trials] for i in range(steps)]
        self._rates = iter(torch.tensor(rates, device=device) if self._graphs else rates)
        self._update = Graphed(self._eager_update) if self._graphs else self._eager_update

    def step(self) -> None:
        """Make one training step of each trial."""
        start = time.perf_counter()
        x = next_batches(self._trials)
        losses = self._update([x, next(self._rates), *self._draws(x)])
        seconds = (time.perf_counter() - start) / len(self._trials)
        for slot, loss in enumerate(losses.unbind()):
            self._note(slot, loss, seconds)

    def loss(self, x: Tensor) -> Tensor:
        """Return the loss of each model on a batch of its own.

        Args:
            x: Batches with shape (K, N, C, H, W).

        Returns:
            Losses with shape (K,).
        """
        return self._losses(self._params, self._buffers, x, self._draws(x))

    @torch.no_grad()
    def give_back(self) -> None:
        """Bring each trial to where its own training would have brought it."""
        self._optimiser.give_back()
        for slot, trial in enumerate(self._trials):
            own = Loss(trial.model)
            for name, tensor in (*own.named_parameters(), *own.named_buffers()):
                stacked = self._params.get(name, self._buffers.get(name))
                assert stacked is not None
                tensor.copy_(stacked[slot])
            trial.keep_noise(self._generators[slot])

    def _note(self, slot: int, loss: Tensor, seconds: float) -> None:
        if self.errors[slot] is None:
            try:
                self._trials[slot].stepped(loss, seconds)
            except TrainingDivergedError as error:
                self.errors[slot] = error

    def _eager_update(self, given: Sequence[Any]) -> Tensor:
        """Return the losses for batches, learning rates and draws; NaN for a step left out."""
        x, rates, *draws = given
        losses, grads = self._gradients(x, draws)
        norms = total_norms(grads)
        lost = ~torch.isfinite(losses + norms)
        self._optimiser.step(grads, rates, excess(norms, self._limits), lost)
        return losses.masked_fill(lost, math.nan)

    def _gradients(self, x: Tensor, draws: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        if self._program is None:
            self._program = self._make_program(x, draws)
        leaves = list(self._params.values())
        losses, grads = self._program(leaves, self._buffers, x, draws)
        return losses, [in_layout(grad, leaf) for grad, leaf in zip(grads, leaves, strict=True)]

    def _make_program(self, x: Tensor, draws: list[Tensor]) -> Program:
        spec, key = self._trials[0].spec, key_of(self._trials[0].spec, x)
        if not is_own(spec.model):
            return untraced(self._losses, list(self._params))
        early = all(2 * trial.step < spec.steps for trial in self._trials)
        # later, compiling for this very number of trials would not be worth it any more
        compiled = self._trials[0].compiled and (early or is_compiled(key))
        return program(
            self._losses, self._params, self._buffers, x, draws, key=key, compiled=compiled
        )

    def _draws(self, x: Tensor) -> list[Tensor]:
        """Return what each trial's loss draws, from its own generator: tensors with K first."""
        if self._sizes is None:
            params = {name: p[0] for name, p in self._params.items()}
            buffers = {name: b[0] for name, b in self._buffers.items()}
            self._sizes = drawn_sizes(self._loss, params, buffers, x[0])
        return [
            torch.stack([randn(size, x, own) for own in self._generators]) for size in self._sizes
        ]


def next_batches(trials: Sequence[Trial]) -> Tensor:
    """Return the next batch of each trial, with shape (K, N, C, H, W).

    The draws are each trial's own, and the numbers those of `Trial.batch`, bit for bit; what is
    computed with them is computed at once.
    """
    indices, drawn = (torch.stack(part) for part in zip(*(t.take() for t in trials), strict=True))
    x = spread(trials[0].images[indices], drawn)
    for own, trial in zip(x.unbind(), trials, strict=True):
        mollified = trial.mollified(own, trial.step / trial.spec.steps)
        if mollified is not own:
            own.copy_(mollified)
    return x


def _laid_out(param: Tensor) -> Tensor:
    """Return stacked weights in the memory layout in which `torch.vmap` gives their gradient.

    That of a matrix comes transposed, and Adam must not have to turn it at every step.
    """
    return param.mT.contiguous().mT if param.ndim == 3 else param


def _steps(trial: Trial) -> int:
    """Training steps up to the next evaluation."""
    mark = trial.next_mark
    return 0 if mark is None else mark - trial.step


def _check(trials: Sequence[Trial]) -> None:
    def alike(trial: Trial) -> tuple[Any, ...]:
        how = trial.spec.training.model_dump(exclude=EACH_ITS_OWN)
        as_what = (trial.device, trial.compiled, trial.graphs, id(trial.images))
        return (trial.spec.model, how, *as_what)

    if any(alike(trial) != alike(trials[0]) for trial in trials):
        raise ValueError(
            "trials that are trained together may differ in schedule, seed and "
            f"{', '.join(sorted(EACH_ITS_OWN))} only"
        )
    if any(trial.averaged is not None for trial in trials):
        raise ValueError("trials with averaged weights cannot be trained together; leave out ema")
