"""Gaussian draws that follow the generator's device rather than the model's."""

from collections.abc import Sequence

import torch
from torch import Tensor


def randn(size: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal draws with the dtype and device of ``like``.

    They are made on the generator's own device and then moved, so a CPU generator gives a model
    on a GPU the same numbers as a model on the CPU.
    """
    device = like.device if generator is None else generator.device
    draws = torch.randn(tuple(size), generator=generator, dtype=like.dtype, device=device)
    return draws.to(like.device)
