"""A clamp that cannot trap a parameter outside its range."""

from typing import Any

import torch
from torch import Tensor


class _Clamp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, low: float, high: float) -> Tensor:
        return x.clamp(low, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, float], output: Tensor) -> None:
        x, ctx.low, ctx.high = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        # Descent moves against the gradient: a positive one lowers x, a negative one raises it.
        outward = ((x <= ctx.low) & (grad > 0)) | ((x >= ctx.high) & (grad < 0))
        return torch.where(outward, torch.zeros_like(grad), grad), None, None


def clamp_inward(x: Tensor, low: float, high: float = torch.inf) -> Tensor:
    """Clamps ``x`` to ``[low, high]``; the gradient outside survives where descent leads back in.

    ``Tensor.clamp`` has gradient zero outside the range, so a parameter that stepped over the
    edge stays there for ever; a straight-through clamp lets it drift away without end. Here the
    gradient passes unless a descent step would lead further out.

    Args:
        x: any shape.
        low: lower end of the range.
        high: upper end of the range.

    Returns:
        Same shape as ``x``.
    """
    clamped: Tensor = _Clamp.apply(x, low, high)
    return clamped
