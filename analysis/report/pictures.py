"""Sample pictures inside the page: all of them, as long as the page stays small."""

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from PIL import Image

from mollitune.analysis.tables.results import Results

BUDGET = 5_000_000
"""Bytes that the pictures of all trials may have together, before base64 makes 4/3 of them."""
LARGEST = 400_000
"""Bytes of a picture that is shown at once; larger ones are compressed."""
_WHOLE_SHARE = 0.4  # of the budget, for pictures of the whole grid
_THREADS = 8
_FOLDER = "samples"
_LEFT_OUT = "The picture was left out, to keep the page small."
_BROKEN = "The picture cannot be read."


class Picture(NamedTuple):
    """A grid of samples.

    Attributes:
        data: Content of its file.
        kind: Format, such as ``png``.
        note: What was done to it, as a sentence; empty for the file as it is.
    """

    data: bytes
    kind: str = "png"
    note: str = ""


_Found = dict[int, Picture | None]  # None: cannot be read


def file_of(trial: int) -> str:
    """Place of a trial's picture below the search's folder."""
    return f"{_FOLDER}/{trial:04d}.png"


def shown_picture(results: Results, name: str) -> Picture | None:
    """Return a picture that is shown at once, compressed where it is huge.

    Args:
        results: Results of a search.
        name: Place below the search's folder.
    """
    png = results.read_file(name)
    if png is None:
        return None
    return (_whole(png, 85) if len(png) > LARGEST else None) or Picture(png)


def trial_pictures(
    results: Results, trials: Sequence[int], budget: int = BUDGET
) -> tuple[dict[int, Picture], dict[int, str]]:
    """Choose and compress the pictures that can be called up.

    As long as they are small enough together, all files are taken as they are. Otherwise the
    best trials get the whole grid, compressed; the others its first quarter; and some, evenly
    spread, nothing.

    Args:
        results: Results of a search.
        trials: Numbers of the trials, the best first.
        budget: Largest sum of bytes.

    Returns:
        The pictures by trial, and why others that have a file are not there.
    """
    files = results.list_files(_FOLDER)
    sizes = {trial: files[name] for trial in trials if (name := _name(trial)) in files}
    if sum(sizes.values()) <= budget:
        found = dict(_read(results, list(sizes), Picture))
    else:
        found = _within(results, list(sizes), budget)
    pictures = {trial: picture for trial, picture in found.items() if picture is not None}
    missing = {t: _BROKEN if t in found else _LEFT_OUT for t in sizes if t not in pictures}
    return pictures, missing


def _within(results: Results, trials: Sequence[int], budget: int) -> _Found:
    """Compress pictures until the budget is used."""
    found: _Found = {}
    used = 0
    for trial, picture in _read(results, trials, partial(_whole, quality=70)):
        used += len(picture.data) if picture else 0
        if used > _WHOLE_SHARE * budget:
            break
        found[trial] = picture
    used = sum(len(picture.data) for picture in found.values() if picture)
    for trial, picture in _read(results, _spread(trials[len(found) :]), _quarter):
        used += len(picture.data) if picture else 0
        if used > budget:
            break
        found[trial] = picture
    return found


def _read(
    results: Results, trials: Sequence[int], change: Callable[[bytes], Picture | None]
) -> Iterator[tuple[int, Picture | None]]:
    """Read and change pictures in order, some at a time: object stores answer slowly."""

    def read(trial: int) -> Picture | None:
        data = results.read_file(file_of(trial))
        return None if data is None else change(data)

    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(trials), 4 * _THREADS):
            some = trials[start : start + 4 * _THREADS]
            yield from zip(some, pool.map(read, some), strict=True)


def _whole(png: bytes, quality: int) -> Picture | None:
    image = _image(png)
    return (
        None
        if image is None
        else _compressed(image, quality, "Compressed, to keep the page small.")
    )


def _quarter(png: bytes) -> Picture | None:
    """The first quarter: between two images of the grid is a line of one pixel."""
    image = _image(png)
    if image is None:
        return None
    first = image.crop((0, 0, max(1, (image.width - 1) // 2), max(1, (image.height - 1) // 2)))
    return _compressed(first, 70, "A quarter of the samples, compressed, to keep the page small.")


def _image(png: bytes) -> Image.Image | None:
    try:
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return image


def _compressed(image: Image.Image, quality: int, note: str) -> Picture:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=quality, method=2)
    return Picture(buffer.getvalue(), "webp", note)


def _spread(trials: Sequence[int]) -> list[int]:
    """The same trials in an order of which every beginning is evenly spread.

    Example:
        >>> _spread([0, 1, 2, 3, 4, 5, 6, 7])
        [0, 4, 2, 6, 1, 5, 3, 7]
    """
    bits = max(1, (len(trials) - 1).bit_length())
    reverse = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(2**bits))
    return [trials[i] for i in reverse if i < len(trials)]


def _name(trial: int) -> str:
    return file_of(trial).removeprefix(f"{_FOLDER}/")
