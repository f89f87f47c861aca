"""A grid of sampled images as one PNG."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image


def picture(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return up to 64 images as one PNG, eight in a row, a black line between two.

    Arguments:
        pixels: Bytes with shape (N, C, H, W), C of 1 or 3.
    """
    count, channels, height, width = pixels[:64].shape
    rows, columns = -(-count // 8), min(count, 8)
    grid = np.zeros((channels, rows * (height + 1) - 1, columns * (width + 1) - 1), np.uint8)
    for i, image in enumerate(pixels[:64]):
        top, left = i // 8 * (height + 1), i % 8 * (width + 1)
        grid[:, top : top + height, left : left + width] = image
    array = grid[0] if channels == 1 else grid.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
