"""From encoded images to one uint8 array; errors name the first image that cannot be used."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from mollitune._errors import MollituneError

from .images import Images, UInt8
from .pairs import pair_plot


def decode(spec: str, named: Iterable[tuple[str, bytes | None]], size: int | None) -> list[UInt8]:
    """Decode images to bytes (C, H, W) with one or three channels.

    Args:
        spec: The data set, for errors.
        named: Where each image is, for errors, and its encoded bytes.
        size: Side of the square to crop and resize to; None: leave the images as they are.

    Raises:
        MollituneError: If an image is missing or not readable.
    """
    return [_decode_one(spec, where, data, size) for where, data in named]


def assemble(spec: str, decoded: list[UInt8], labels: npt.NDArray[Any] | None) -> Images:
    """Stack decoded images; gray ones among coloured ones become coloured.

    Args:
        spec: The data set as the config names it.
        decoded: Images with shape (C, H, W).
        labels: Their integer or string labels with shape (N,), which become 0..K-1, or None.

    Raises:
        MollituneError: If there are no images or their sizes differ.
    """
    channels = max((image.shape[0] for image in decoded), default=0)
    # a gray image among coloured ones is a coloured image whose channels agree
    coloured = [np.repeat(i, 3, axis=0) if i.shape[0] < channels else i for i in decoded]
    shapes = sorted({image.shape for image in coloured})
    if len(shapes) != 1:
        found = " and ".join(f"{s[2]}x{s[1]}" for s in shapes[:2]) or "no images"
        raise MollituneError(
            f"dataset {spec}: images differ in size ({found}); add @SIZE to crop and resize them, "
            f"e.g. {spec}@32"
        )
    if labels is not None:
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return Images(spec, np.stack(coloured), labels)


def _decode_one(spec: str, where: str, data: bytes | None, size: int | None) -> UInt8:
    if data is None:
        raise MollituneError(
            f"dataset {spec}: {where} holds no image bytes; remove it and run again"
        )
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
        image = image.convert("L" if image.mode in ("1", "L", "I;16", "I") else "RGB")
    except (
        OSError,
        UnidentifiedImageError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise MollituneError(
            f"dataset {spec}: {where} is not a readable image ({error}); remove or mend it"
        ) from None
    return _as_array(image if size is None else _fitted(image, size))


def fitted(pixels: UInt8, size: int) -> UInt8:
    """Return gray bytes (1, H, W) cropped to the central square and resized to (1, size, size)."""
    return _as_array(_fitted(Image.fromarray(pixels[0]), size))


def _as_array(image: Image.Image) -> UInt8:
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _fitted(image: Image.Image, size: int) -> Image.Image:
    return _square(image).resize((size, size), Image.Resampling.LANCZOS)


def _square(image: Image.Image) -> Image.Image:
    """Crop to the central square; before the resize, which would look beyond the edges."""
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    return image.crop((left, top, left + side, top + side))


def picture(pixels: npt.NDArray[Any]) -> bytes:
    """Return up to 64 images as one PNG, eight in a row, a black line between two.

    Of a table it shows how its first columns lie together, see `mollitune.search.data.pairs`.

    Arguments:
        pixels: Bytes with shape (N, C, H, W), C of 1 or 3; or rows with shape (N, D).
    """
    if pixels.ndim == 2:
        return _png(pair_plot(pixels))
    count, channels, height, width = pixels[:64].shape
    rows, columns = -(-count // 8), min(count, 8)
    grid = np.zeros((channels, rows * (height + 1) - 1, columns * (width + 1) - 1), np.uint8)
    for i, image in enumerate(pixels[:64]):
        top, left = i // 8 * (height + 1), i % 8 * (width + 1)
        grid[:, top : top + height, left : left + width] = image
    return _png(grid[0] if channels == 1 else grid.transpose(1, 2, 0))


def _png(array: UInt8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
