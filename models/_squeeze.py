"""Space-to-depth: trades a factor two of each side for four times the channels, exactly."""

import math

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from ._checks import Shape

# Position 2 i + j of the pixel (i, j) in its 2x2 patch: first the diagonal, then the others.
_DIAGONAL_FIRST = [0, 3, 1, 2]
_ROWS_FIRST = [0, 1, 2, 3]


def halvings(shape: Shape) -> int:
    """How often both sides of an image ``(C, H, W)`` can be halved.

    Example:
        >>> halvings((1, 28, 28)), halvings((3, 32, 64))
        (2, 5)
    """
    side = math.gcd(*shape[1:])
    return (side & -side).bit_length() - 1


def squeeze(x: Tensor) -> Tensor:
    """Stacks each 2x2 patch into channels, ``(N, C, H, W)`` to ``(N, 4C, H/2, W/2)``.

    Channels are ordered by position in the patch, row by row, then by colour: the first half
    holds the upper row of each patch and the second half the lower one.
    """
    return _pack(x, _ROWS_FIRST)


def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of ``squeeze``."""
    return _unpack(x, _ROWS_FIRST)


def pack_checkerboard(x: Tensor) -> Tensor:
    """Like ``squeeze``, but the channel halves are the two colours of a checkerboard.

    The first half holds the pixels with even ``i + j``. A coupling between the two colours is
    then a coupling between channel halves, and its network runs on a quarter of the positions
    instead of on an image of which half is masked.
    """
    return _pack(x, _DIAGONAL_FIRST)


def unpack_checkerboard(x: Tensor) -> Tensor:
    """The inverse of ``pack_checkerboard``."""
    return _unpack(x, _DIAGONAL_FIRST)


def _pack(x: Tensor, order: list[int]) -> Tensor:
    # not by a list as index, which would be copied to a GPU at every call
    n, channels, height, width = x.shape
    patches = pixel_unshuffle(x, 2).reshape(n, channels, 4, height // 2, width // 2)
    return torch.cat([patches[:, :, position] for position in order], dim=1)


def _unpack(x: Tensor, order: list[int]) -> Tensor:
    n, channels, height, width = x.shape
    patches = x.reshape(n, 4, channels // 4, height, width)
    back = [patches[:, order.index(position)] for position in range(4)]
    return pixel_shuffle(torch.stack(back, dim=2).flatten(1, 2), 2)
