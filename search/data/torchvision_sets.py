"""Data sets that torchvision downloads and reads; their training parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mollitune._errors import MollituneError

from .cache import DataSource
from .images import Images, Labels, UInt8

TORCHVISION = {
    "cifar10": (3, 32, 32),
    "celeba": (3, 64, 64),
    "mnist": (1, 28, 28),
    "fashionmnist": (1, 28, 28),
}
"""The sets, each with the shape (C, H, W) of its images."""

_ARCHIVES = frozenset({".zip", ".gz"})  # what torchvision unpacks but does not read
_FOLDERS = {
    "cifar10": "cifar-10-batches-py",
    "celeba": "celeba",
    "mnist": "MNIST/raw",
    "fashionmnist": "FashionMNIST/raw",
}


def torchvision_source(spec: str, kind: str, root: str) -> DataSource:
    """Return where a data set of torchvision lies, whether or not it is there yet.

    Args:
        spec: The data set as the config names it.
        kind: One of `TORCHVISION`.
        root: torchvision's root folder; empty: ``$MOLLITUNE_DATA`` or the home cache.
    """
    home = Path(root or os.environ.get("MOLLITUNE_DATA", "~/.cache/mollitune/data")).expanduser()
    folder = home / _FOLDERS[kind]
    return DataSource(
        spec,
        kind,
        folder,
        lambda: sorted(f for f in folder.rglob("*") if f.is_file() and f.suffix not in _ARCHIVES),
        lambda: _read(spec, kind, home),
    )


def _read(spec: str, kind: str, home: Path) -> Images:
    try:
        pixels, labels = _READERS[kind](home)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise MollituneError(
            f"dataset {spec}: cannot be read from or downloaded to {home} ({reason}); put "
            f"torchvision's files there, or give another root as {kind}:ROOT"
        ) from None
    return Images(spec, pixels, labels)


def _read_cifar10(home: Path) -> tuple[UInt8, Labels]:
    from torchvision.datasets import CIFAR10

    data = CIFAR10(str(home), train=True, download=True)
    return data.data.transpose(0, 3, 1, 2).copy(), np.asarray(data.targets, dtype=np.int64)


def _read_mnist(home: Path, fashion: bool = False) -> tuple[UInt8, Labels]:
    from torchvision.datasets import MNIST, FashionMNIST

    data = (FashionMNIST if fashion else MNIST)(str(home), train=True, download=True)
    return data.data.numpy()[:, None], data.targets.numpy().astype(np.int64)


def _read_celeba(home: Path) -> tuple[UInt8, Labels]:
    """CelebA cropped to its central 148 x 148 and resized to 64 x 64, the usual preparation.

    The attribute ``Male`` serves as the label, as the training set of a feature extractor.
    """
    from torchvision.datasets import CelebA

    data = CelebA(str(home), split="train", target_type="attr", download=True)
    pixels = np.stack(list(_celeba_pixels(data)))
    return pixels, data.attr[:, data.attr_names.index("Male")].numpy().astype(np.int64)


def _celeba_pixels(data: Any) -> Iterator[UInt8]:
    for image, _ in data:
        width, height = image.size
        left, top = (width - 148) // 2, (height - 148) // 2
        face = image.crop((left, top, left + 148, top + 148))
        small = face.resize((64, 64), Image.Resampling.BILINEAR)
        yield np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)


_READERS: dict[str, Callable[[Path], tuple[UInt8, Labels]]] = {
    "cifar10": _read_cifar10,
    "celeba": _read_celeba,
    "mnist": _read_mnist,
    "fashionmnist": lambda home: _read_mnist(home, fashion=True),
}
