"""Memory layout of what belongs to a parameter."""

from __future__ import annotations

import torch
from torch import Tensor


def laid_like(values: Tensor, param: Tensor) -> Tensor:
    """Return values in a parameter's memory layout, in memory of their own.

    The fused Adam walks through parameter, gradient and moments in the order of memory, without a
    look at their strides: with two layouts it would take each value for another one's.
    """
    return torch.empty_like(param, memory_format=torch.preserve_format).copy_(values)


def in_layout(values: Tensor, param: Tensor) -> Tensor:
    """Return values in a parameter's memory layout: themselves, if they are there already."""
    return values if values.stride() == param.stride() else laid_like(values, param)
