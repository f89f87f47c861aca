"""Torch's optimisers without `torch.compile`, which each of them loads before its first step."""

import inspect
from typing import TypeVar

import torch
from torch.optim import Optimizer

_Kind = TypeVar("_Kind", bound=Optimizer)
_WRAPPED = ("add_param_group", "state_dict", "load_state_dict", "zero_grad", "step")


def uncompiled(kind: type[_Kind]) -> type[_Kind]:
    """Return an optimiser that does the same, number by number, its states included.

    Torch wraps each method to tell `torch.compile` of it, and so imports it: two seconds of every
    process that trains. No optimiser of ours is ever compiled.
    """
    own = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    own["step"] = torch.no_grad()(own["step"])
    return type(kind.__name__, (kind,), own)


Adam = uncompiled(torch.optim.Adam)
AdamW = uncompiled(torch.optim.AdamW)
SGD = uncompiled(torch.optim.SGD)
