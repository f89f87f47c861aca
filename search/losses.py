"""The loss of one model, or of several at once, as a function of all that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mollitune.models import GenerativeModel, draws_from

from .spec import Precision

Tensors = dict[str, Tensor]
LossFunction = Callable[[Tensors, Tensors, Tensor, list[Tensor]], Tensor]
"""From parameters, buffers, a batch and what the loss draws, to the loss."""


class Loss(nn.Module):
    """A model called for its loss, since `torch.func` calls ``forward``."""

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return self.model.loss(x)


def in_precision(precision: Precision, x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which networks run in a precision of `TrialSpec`; densities do not."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(x.device.type, torch.bfloat16)


def pure(loss: Loss, precision: Precision = "fp32") -> LossFunction:
    """Return the loss as a function; buffers that it updates are updated where they lie."""

    def function(params: Tensors, buffers: Tensors, x: Tensor, draws: list[Tensor]) -> Tensor:
        own = iter(draws)
        with draws_from(lambda size, like: next(own)), in_precision(precision, x):
            value: Tensor = functional_call(loss, (params, buffers), (x,))
        return value

    return function


def side_by_side(loss: Loss, precision: Precision = "fp32") -> LossFunction:
    """Return the losses of K such models: every argument and the result have K in front."""
    function: LossFunction = vmap(pure(loss, precision), in_dims=(0, 0, 0, 0))
    return function


def drawn_sizes(loss: Loss, params: Tensors, buffers: Tensors, x: Tensor) -> list[torch.Size]:
    """Return the size of each draw of one model's loss, in order.

    Args:
        loss: The loss.
        params: Its parameters.
        buffers: Its buffers; they stay as they are.
        x: A batch, of which only the shape matters.
    """
    sizes: list[torch.Size] = []

    def note(size: Sequence[int], like: Tensor) -> Tensor:
        sizes.append(torch.Size(size))
        return torch.zeros(tuple(size), dtype=like.dtype, device=like.device)

    kept = {name: buffer.clone() for name, buffer in buffers.items()}
    with draws_from(note), torch.no_grad():
        functional_call(loss, (params, kept), (x,))
    return sizes
