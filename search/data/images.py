"""Image data as one uint8 array, or rows of a table, and their fixed split into three parts."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from mollitune._errors import MollituneError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MIN_IMAGES = 100
SPLIT_SHARE = 0.2
SPLIT_MOST = 5000
SPLIT_SEED = 20230

MIN_STD = 1e-9
"""Of a column, as a share of its largest value: below it rounding is all that varies."""

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Images:
    """A set of equally sized images, or the rows of a table.

    Arguments:
        name: The data set as the config names it.
        pixels: Bytes with shape (N, C, H, W); of a table its numbers, float32 with shape (N, D).
        labels: Class indices 0..K-1 with shape (N,), or None.
        known_sha256: Value of `sha256` if it was stored with the pixels; None: compute it.
    """

    name: str
    pixels: npt.NDArray[Any]
    labels: Labels | None = None
    known_sha256: str | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, (C, H, W), or of a row, (D,)."""
        return self.pixels.shape[1:]

    @property
    def noun(self) -> str:
        """What they are: ``images`` or ``rows``."""
        return "rows" if self.pixels.ndim == 2 else "images"

    @cached_property
    def sha256(self) -> str:
        """Hash of shape, pixels and labels: the data's identity, whatever file it came from."""
        if self.known_sha256 is not None:
            return self.known_sha256
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def take(self, indices: npt.NDArray[np.int64]) -> Images:
        """Return the images at ``indices``."""
        labels = None if self.labels is None else self.labels[indices]
        # Noise is drawn in memory order: decoders' layouts must not change a training's numbers.
        return Images(self.name, np.ascontiguousarray(self.pixels[indices]), labels)


_placed: WeakValueDictionary[tuple[str, torch.device], Tensor] = WeakValueDictionary()


def on_device(images: Images, device: torch.device) -> Tensor:
    """Return all bytes on a device, with shape (N, C, H, W); they must not be written to.

    Who asks while another has them there gets the same tensor: the trials that share a process
    share the images in the device's memory, too.
    """
    key = images.sha256, device
    found = _placed.get(key)
    if found is None:
        found = _placed[key] = as_tensor(images.pixels).to(device)
    return found


def points(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return bytes in the models' space, dequantised; rows of a table are there already."""
    from mollitune.models import dequantise

    return images if images.is_floating_point() else dequantise(images, generator)


def side_of(shape: tuple[int, ...]) -> int:
    """Return the longer side of an image of shape (C, H, W); 1 for a row, which has none."""
    return max(shape[1:], default=1)


def as_tensor(pixels: npt.NDArray[Any]) -> Tensor:
    """Return an array as a tensor that shares its memory and must not be written to."""
    import torch  # seconds: where a data set lies is checked before

    with warnings.catch_warnings():
        # Ray's shared memory is read-only, which torch cannot express; nobody writes to images
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)


@dataclass(frozen=True)
class Splits:
    """Training images, the images that selection may look at, and those it may not."""

    train: Images
    validation: Images
    test: Images

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, (C, H, W), or of a row, (D,)."""
        return self.train.shape

    def counts(self) -> dict[str, int]:
        """Return the number of images per split."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: len(part) for name, part in parts.items()}

    def described(self) -> str:
        """Return size and number of the images or rows in words.

        Example:
            >>> from mollitune.search.data.sources import load_images
            >>> split(load_images("digits")).described()
            '1x8x8 pixels: 1,079 train, 359 validation and 359 test images'
        """
        train, validation, test = (f"{count:,}" for count in self.counts().values())
        noun = self.train.noun
        shape = "x".join(map(str, self.shape))
        size = f"{shape} pixels" if noun == "images" else f"{shape} columns"
        return f"{size}: {train} train, {validation} validation and {test} test {noun}"


def split(images: Images) -> Splits:
    """Split once and for all: validation and test hold 20 % each, at most 5,000 images.

    The permutation has a seed of its own, so that every search over a data set, whatever its
    seed, selects on the same validation images and leaves the same test images unseen. The
    columns of a table are shifted and scaled to mean 0 and variance 1 in the training part.

    Raises:
        MollituneError: If there are fewer than 100 images or rows, or a column of the training
            part is constant.
    """
    if len(images) < MIN_IMAGES:
        raise MollituneError(
            f"dataset {images.name}: {len(images)} {images.noun} are too few to split into train, "
            f"validation and test; at least {MIN_IMAGES} are needed"
        )
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    held = min(int(SPLIT_SHARE * len(images)), SPLIT_MOST)
    test, validation, train = np.split(order, [held, 2 * held])
    if images.noun == "rows":
        images = replace(images, pixels=_standardised(images, train))
    return Splits(images.take(train), images.take(validation), images.take(test))


def _standardised(table: Images, train: npt.NDArray[np.int64]) -> Float32:
    values = table.pixels.astype(np.float64)
    mean, std = values[train].mean(0), values[train].std(0)
    constant = np.flatnonzero(std <= MIN_STD * np.abs(values).max(0))
    if len(constant):
        raise MollituneError(
            f"dataset {table.name}: column {constant[0] + 1} has one value in all rows of the "
            "training part; leave it out"
        )
    return np.asarray((values - mean) / std, np.float32)
