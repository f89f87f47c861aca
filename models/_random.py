"""Gaussian draws that follow the generator's device rather than the model's."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

DrawSource = Callable[[tuple[int, ...], Tensor], Tensor]
"""From a size, and a tensor with the dtype and device wanted, to standard normal draws."""

_source: ContextVar[DrawSource | None] = ContextVar("source", default=None)


def randn(size: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal draws with the dtype and device of ``like``.

    They are made on the generator's own device and then moved, so a CPU generator gives a model
    on a GPU the same numbers as a model on the CPU.
    """
    source = _source.get()
    if generator is None and source is not None:
        return source(tuple(size), like)
    device = like.device if generator is None else generator.device
    draws = torch.randn(tuple(size), generator=generator, dtype=like.dtype, device=device)
    return draws.to(like.device)


@contextmanager
def draws_from(source: DrawSource) -> Iterator[None]:
    """Lets the draws of every model's ``loss`` come from elsewhere than torch's global generator.

    So that several models under `torch.vmap` can be given what each would draw by itself.

    Args:
        source: called for each draw, in order, with its size and a tensor of the dtype and
            device that is wanted.
    """
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)
