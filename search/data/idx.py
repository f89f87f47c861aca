"""Images in MNIST's IDX format, plain or gzipped, as its authors and Debian give them out."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from mollitune._errors import MollituneError
from mollitune._files import first_line

from .cache import DataSource
from .decoding import assemble, fitted
from .images import Images, Labels, UInt8

_IMAGES = re.compile(r"images[-.]idx3-ubyte(\.gz)?$")


def idx_files(folder: Path) -> list[Path]:
    """Return the files of images right in a folder: of the training part, if it has parts."""
    # of a file that is there twice the plain one: its name comes first
    named = {f.name.removesuffix(".gz"): f for f in sorted(folder.glob("*idx3-ubyte*"))[::-1]}
    found = [named[name] for name in sorted(named) if _IMAGES.search(name)]
    return [file for file in found if "train" in file.name] or found


def idx_source(spec: str, folder: Path, size: int | None) -> DataSource:
    """Return the images of a folder for which `idx_files` finds some.

    A file ``...-labels-idx1-ubyte`` beside one of images holds their labels.

    Args:
        spec: The data set as the config names it.
        folder: The folder.
        size: Side to crop and resize to; None: as they are.
    """
    images = idx_files(folder)
    labels = [_labels_of(file) for file in images]
    files = [*images, *(file for file in labels if file is not None)]
    return DataSource(
        spec, "idx", folder, lambda: files, lambda: _read(spec, images, labels, size), size
    )


def _labels_of(images: Path) -> Path | None:
    name = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    both = (images.with_name(name), images.with_name(f"{name}.gz"))
    return next((file for file in both if file.is_file()), None)


def _read(spec: str, images: list[Path], labels: list[Path | None], size: int | None) -> Images:
    pixels = [image[None] for file in images for image in _array(spec, file, 3)]
    known = [_array(spec, file, 1) for file in labels if file is not None]
    classes: Labels | None = None
    if len(known) == len(images):
        classes = np.concatenate(known).astype(np.int64)
        if len(classes) != len(pixels):
            raise MollituneError(
                f"dataset {spec}: {len(pixels)} images and {len(classes)} labels in "
                f"{images[0].parent}; take away the file that does not belong there"
            )
    return assemble(spec, pixels if size is None else [fitted(p, size) for p in pixels], classes)


def _array(spec: str, file: Path, rank: int) -> UInt8:
    """Return the bytes of a file with so many sides."""
    try:
        data = file.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise MollituneError(
            f"dataset {spec}: {file} cannot be read ({first_line(error)})"
        ) from None
    head = 4 + 4 * rank
    sides = np.frombuffer(data[4:head], ">u4").tolist()
    # its magic number: two zeros, the type of bytes, and how many sides there are
    if data[:4] != bytes([0, 0, 8, rank]) or len(data) != head + math.prod(sides):
        raise MollituneError(
            f"dataset {spec}: {file} is no whole IDX file of bytes with {rank} side(s); fetch it "
            "again"
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(sides)
