"""Uniform dequantisation: bytes become points of the models' space."""

from collections.abc import Sequence

import torch
from torch import Tensor

_CELL = 2**16


def dequantise(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Spreads bytes uniformly over their cells of ``[-1, 1)``: ``y = 2 (v + u) / 256 - 1``.

    ``u`` is uniform on the multiples of ``2**-16`` in ``[0, 1)``. On that grid ``v + u`` needs 24
    bits, so float32 holds ``y`` exactly: 255 never rounds up to 1, and
    ``floor(128 (y + 1))`` gives every byte back.

    Args:
        images: uint8 tensor, shape ``(N, C, H, W)``.
        generator: source of ``u``; torch's global generator if None.

    Returns:
        float32 tensor of the same shape on the same device, in ``[-1, 1)``.

    Raises:
        ValueError: ``images`` is not a uint8 tensor.

    Example:
        >>> v = torch.tensor([0, 128, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
        >>> torch.floor(128 * (dequantise(v) + 1)).flatten()
        tensor([  0., 128., 255.])
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images must be a uint8 tensor, got {kind}")
    device = images.device if generator is None else generator.device
    return spread(images, fractions(images.shape, generator, device).to(images.device))


def fractions(
    shape: Sequence[int], generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """Draw ``2**16 u`` as int32, see `dequantise`."""
    return torch.randint(_CELL, shape, generator=generator, dtype=torch.int32, device=device)


def spread(images: Tensor, drawn: Tensor) -> Tensor:
    """Put bytes where the drawn fractions say, see `dequantise`; a batch of batches, too.

    Rows of a table, which are no bytes, stay as they are.
    """
    if images.is_floating_point():
        return images
    # every step is exact, and in place: on a processor this is mostly a matter of memory
    return drawn.to(torch.float32).div_(_CELL).add_(images).div_(128).sub_(1)
