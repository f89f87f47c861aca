"""Statistics of real images for FID, computed once and kept in a file that processes share."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import torch
from pyarrow.fs import LocalFileSystem
from torch import Tensor

from mollitune import _files
from mollitune._errors import MollituneError
from mollitune.models import allow_tf32
from mollitune.search.data.images import Images

from .extractors.extractor import Extractor, Progress, feature_batches
from .frechet import Target, root_of, solver_device
from .moments import Moments, MomentStream

MAGIC = b"mollitune statistics 2\n"

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RealStatistics:
    """All that metrics need to know of real images; arrays, which Ray shares without a copy.

    Arguments:
        mu: Mean of the features with shape (F,).
        sigma: Their covariance with shape (F, F).
        root: Root of the covariance with shape (F, r), see `frechet.root_of`.
        count: How many images.
        features: The features with shape (count, F), where they were asked for.
    """

    mu: Float64
    sigma: Float64
    root: Float64
    count: int
    features: npt.NDArray[np.float32] | None = None

    def placed(self, device: torch.device) -> Placed:
        """Return target and features for a device; who asks while another has them shares them."""
        found = _placed.get((id(self), device))
        if found is None:
            # the solver runs where it is fastest
            mu, root = (
                torch.tensor(array, device=solver_device(len(self.mu), device))
                for array in (self.mu, self.root)
            )
            target = Target(mu, root, float(self.sigma.trace()))
            features = (
                None if self.features is None else torch.tensor(self.features, device=device)
            )
            found = _placed[id(self), device] = Placed(self, target, features)
        return found


@dataclass(frozen=True, eq=False)
class Placed:
    """Statistics of real images where generated ones are.

    Arguments:
        statistics: The statistics.
        target: What moments or features are compared with.
        features: The features with shape (count, F), where there are some.
    """

    statistics: RealStatistics
    target: Target
    features: Tensor | None


# by the identity of statistics, which lives as long as what is placed of them
_placed: WeakValueDictionary[tuple[int, torch.device], Placed] = WeakValueDictionary()


@dataclass(frozen=True)
class Key:
    """What statistics are of; equal keys mean equal statistics, up to a machine's rounding.

    Arguments:
        images: Hash of the images.
        split: Which split they are.
        extractor: Identity of the extractor: name, hash of the weights and resize rule.
        features: Whether the features themselves are kept.
    """

    images: str
    split: str
    extractor: str
    features: bool

    @property
    def text(self) -> bytes:
        """The key as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    def path(self, folder: Path) -> Path:
        """Return the file for this key in a cache folder."""
        return folder / f"statistics-{hashlib.sha256(self.text).hexdigest()[:32]}.bin"


Compute = Callable[[Extractor, Images, bool], RealStatistics]
"""Computes the statistics of images, and keeps their features where it is told to."""


def compute_statistics(
    extractor: Extractor,
    images: Images,
    keep_features: bool = False,
    *,
    device: torch.device | None = None,
    progress: Progress = lambda done, total: None,
) -> RealStatistics:
    """Return statistics of at least two images.

    Args:
        extractor: The feature extractor.
        images: Real images.
        keep_features: Whether to keep the features.
        device: Where to compute, None: on the CPU.
        progress: Is told how many images are done, of how many.
    """
    device = device or torch.device("cpu")
    allow_tf32(False)
    stream, kept, done = MomentStream(), [], 0
    for features in feature_batches(extractor.build(device), images.pixels, device):
        stream.add(features)
        done += len(features)
        progress(done, len(images))
        if keep_features:
            kept.append(features.float().cpu().numpy())
    moments = stream.moments()
    moments = moments.to(solver_device(len(moments.mu), device))
    root = root_of(moments).cpu().numpy()
    return RealStatistics(
        *_arrays(moments), root, moments.count, np.concatenate(kept) if kept else None
    )


def cached_statistics(
    extractor: Extractor,
    images: Images,
    split: str,
    folder: Path,
    *,
    keep_features: bool = False,
    compute: Compute = compute_statistics,
) -> RealStatistics:
    """Return statistics from the cache, or compute them and put them there.

    A file appears whole or not at all and is checked before use, so any number of processes may
    ask at once: at worst each computes the same and the last one's file stays. A damaged file is
    replaced.

    Args:
        extractor: The feature extractor.
        images: Real images, at least two.
        split: Which split they are.
        folder: The cache folder.
        keep_features: Whether to keep the features, for KID and precision/recall.
        compute: What computes them.

    Raises:
        MollituneError: If the file cannot be written.
    """
    key = Key(images.sha256, split, extractor.identity, keep_features)
    path = key.path(folder)
    found = read_statistics(path, key)
    if found is None:
        found = compute(extractor, images, keep_features)
        try:
            write_statistics(path, key, found)
        except OSError as error:
            raise MollituneError(
                f"cannot keep the statistics of the real images in {folder} ({error.strerror}); "
                "set MOLLITUNE_CACHE to a folder that can be written"
            ) from None
    return found


def write_statistics(path: Path, key: Key, statistics: RealStatistics) -> None:
    """Write a file with a hash over key and content; readers see it whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    arrays = {name: value for name, value in vars(statistics).items() if value is not None}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getvalue()
    data = MAGIC + _digest(key, content) + content
    _files.write_atomic(LocalFileSystem(), str(path), data)


def read_statistics(path: Path, key: Key) -> RealStatistics | None:
    """Return the content of a file, or None where it is missing, damaged or of another key."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head = len(MAGIC) + hashlib.sha256().digest_size
    content = memoryview(data)[head:]
    if data[:head] != MAGIC + _digest(key, content):
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        fields = dict(arrays)
    return RealStatistics(**{**fields, "count": int(fields["count"])})


def _digest(key: Key, content: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(key.text)
    digest.update(content)
    return digest.digest()


def _arrays(moments: Moments) -> tuple[Float64, Float64]:
    return moments.mu.cpu().numpy(), moments.sigma.cpu().numpy()


@dataclass(frozen=True)
class Reference:
    """What generated images are compared with: an extractor and real images' statistics.

    Arguments:
        extractor: The network, with its weights.
        statistics: Statistics of the real images' features.
        split: Which split the real images are.
        beside: The same images in other networks; their FIDs are measured at a training's end.
    """

    extractor: Extractor
    statistics: RealStatistics
    split: str
    beside: tuple[Reference, ...] = ()

    @classmethod
    def measure(
        cls,
        extractor: Extractor,
        images: Images,
        split: str,
        cache: Path | None = None,
        *,
        keep_features: bool = False,
        compute: Compute = compute_statistics,
    ) -> Reference:
        """Return the reference of real images.

        Args:
            extractor: The feature extractor.
            images: Real images, at least two.
            split: Which split they are.
            cache: Folder to read the statistics from, or to leave them in; None: compute them.
            keep_features: Whether KID or precision/recall will be asked for.
            compute: What computes them.

        Raises:
            MollituneError: If the cache cannot be written.
        """
        if cache is None:
            found = compute(extractor, images, keep_features)
        else:
            found = cached_statistics(
                extractor, images, split, cache, keep_features=keep_features, compute=compute
            )
        return cls(extractor, found, split)

    @property
    def count(self) -> int:
        """How many real images."""
        return self.statistics.count

    def small_sample_warning(self, samples: int) -> str | None:
        """Return one line if FID with this many samples is mostly bias, else None.

        With fewer images than features a covariance is singular, and FID lies far above its limit
        by an amount that depends on the number of images.
        """
        features = len(self.statistics.mu)
        if min(samples, self.count) >= features:
            return None
        return (
            f"FID of {samples} samples against {self.count} real images is mostly bias, since "
            f"{self.extractor.name} has {features} features; compare it at these counts only"
        )
