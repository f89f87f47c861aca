"""The loss of a training step, with its gradients left at the parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mollitune.models import GenerativeModel, is_own, randn

from .optimisers import in_layout
from .programs import Loss, Program, drawn_sizes, in_precision, key_of, program, pure
from .spec import TrialSpec

Gradients = Callable[[Tensor], Tensor]
"""From a batch to its loss; the gradients are at the parameters then, as ``backward`` does."""


def gradients_of(model: GenerativeModel, spec: TrialSpec, compiled: bool) -> Gradients:
    """Return what computes a model's loss and gradients.

    Args:
        model: The model, in training mode.
        spec: What it is trained as.
        compiled: Whether `torch.compile` may make one piece of code of it. A class of a user's
            own is run as it is all the same.
    """
    return (
        CompiledGradients(model, spec) if compiled and is_own(spec.model) else _eager(model, spec)
    )


def _eager(model: GenerativeModel, spec: TrialSpec) -> Gradients:
    def gradients(x: Tensor) -> Tensor:
        with in_precision(spec.training.precision, x):
            loss = model.loss(x)
        model.zero_grad(set_to_none=True)
        loss.backward()
        return loss.detach()

    return gradients


class CompiledGradients:
    """Loss and gradients of one model in one piece of code.

    It is made at the first call for a shape of batch, which takes many seconds, and shared by all
    trials of the process that train the like. What the loss draws comes from torch's global
    generator, in the order of the loss.

    Arguments:
        model: The model, in training mode.
        spec: What it is trained as.
    """

    def __init__(self, model: GenerativeModel, spec: TrialSpec) -> None:
        self._loss = Loss(model)
        self._spec = spec
        self._params = list(self._loss.parameters())
        self._buffers = dict(self._loss.named_buffers())
        self._made: dict[torch.Size, tuple[Program, list[torch.Size]]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Return the loss of a batch, and leave its gradients at the parameters."""
        if x.shape not in self._made:
            self._made[x.shape] = self._make(x)
        run, sizes = self._made[x.shape]
        draws = [randn(size, x, None) for size in sizes]
        loss, grads = run([p.detach() for p in self._params], self._buffers, x, draws)
        for param, grad in zip(self._params, grads, strict=True):
            param.grad = in_layout(grad, param)
        return loss

    def _make(self, x: Tensor) -> tuple[Program, list[torch.Size]]:
        params = {name: p.detach() for name, p in self._loss.named_parameters()}
        sizes = drawn_sizes(self._loss, params, self._buffers, x)
        draws = [torch.zeros(size, dtype=x.dtype, device=x.device) for size in sizes]
        function = pure(self._loss, self._spec.training.precision)
        key = key_of(self._spec, x)
        made = program(function, params, self._buffers, x, draws, key=key, compiled=True)
        return made, sizes
