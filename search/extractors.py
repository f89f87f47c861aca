"""Feature extractors for FID: prepared once by the driver, rebuilt from bytes in every worker."""

from __future__ import annotations

import hashlib
import io
import os
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pyarrow.fs import LocalFileSystem
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor
from torch_fidelity.utils import create_feature_extractor

from mollitune import _files
from mollitune._errors import MollituneError

from .dataset import Images
from .lenet import LeNetExtractor, train_lenet

INCEPTION = "inception-v3-compat"
INCEPTION_FILE = Path(URL_INCEPTION_V3).name
BATCH = 256

Features = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Extractor:
    """A named feature extractor with the bytes of its weights.

    Small enough to travel to every worker through Ray's object store, so that no worker needs
    the weights file, the network or the labels.

    Arguments:
        name: Name in torch-fidelity's registry.
        weights: A torch state dict as bytes.
    """

    name: str
    weights: bytes

    @property
    def sha256(self) -> str:
        """Hash of the weights: values of two extractors are comparable only if it agrees."""
        return hashlib.sha256(self.weights).hexdigest()

    def build(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Return a function from bytes (N, C, H, W) to features (N, F) on ``device``.

        Gray images are repeated to three channels for the Inception network.
        """
        _register()
        layer = _default_layer(self.name)
        # the constructors draw initial weights before they load the real ones
        with torch.random.fork_rng(devices=[]):
            network = create_feature_extractor(
                self.name,
                [layer],
                cuda=device.type == "cuda",
                verbose=False,
                feature_extractor_weights_path=io.BytesIO(self.weights),
            )
        colour = self.name == INCEPTION

        @torch.no_grad()
        def features(pixels: Tensor) -> Tensor:
            if colour and pixels.shape[1] == 1:
                pixels = pixels.expand(-1, 3, -1, -1)
            out: Tensor = network(pixels)[0]
            return out

        return features


def prepare_extractor(name: str, weights: str | None, train: Images, cache: Path) -> Extractor:
    """Return the extractor that a config names, with its weights.

    Args:
        name: ``lenet`` or ``inception-v3-compat``.
        weights: Weights file of the Inception network; None: look in torch's hub folder, then
            download as torch-fidelity does.
        train: Training images, for LeNet.
        cache: Folder for trained LeNet weights; the file name holds the hash of the images.

    Raises:
        MollituneError: If there are no labels, no weights file or no network.
    """
    if name == "lenet":
        return Extractor(name, _lenet_weights(train, cache))
    return Extractor(name, _inception_weights(weights))


def batched_features(
    extract: Callable[[Tensor], Tensor], pixels: npt.NDArray[np.uint8], device: torch.device
) -> Features:
    """Return float64 features with shape (N, F) of bytes with shape (N, C, H, W)."""
    parts = []
    for first in range(0, len(pixels), BATCH):
        batch = torch.from_numpy(np.ascontiguousarray(pixels[first : first + BATCH]))
        parts.append(extract(batch.to(device)).double().cpu().numpy())
    return np.concatenate(parts)


def _register() -> None:
    if "lenet" not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor("lenet", LeNetExtractor)


def _default_layer(name: str) -> str:
    layer: str = FEATURE_EXTRACTORS_REGISTRY[name].get_default_feature_layer_for_metric("fid")
    return layer


def _lenet_weights(train: Images, cache: Path) -> bytes:
    path = cache / f"lenet-{train.sha256[:16]}.pt"
    if path.exists():
        return path.read_bytes()
    buffer = io.BytesIO()
    torch.save(train_lenet(train), buffer)
    _files.write_atomic(LocalFileSystem(), str(path), buffer.getvalue())
    return buffer.getvalue()


def _inception_weights(path: str | None) -> bytes:
    if path is not None:
        return _read_weights(Path(path).expanduser())
    file = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if not file.exists():
        _download_inception(file)
    return _read_weights(file)


def _read_weights(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except OSError as error:
        raise MollituneError(
            f"fid.weights: cannot read {path} ({error.strerror}); give the path of "
            f"{INCEPTION_FILE}"
        ) from None
    except Exception as error:  # torch.load raises whatever the damaged bytes lead it to
        raise MollituneError(
            f"fid.weights: {path} is not a torch weights file ({type(error).__name__}); give the "
            f"path of {INCEPTION_FILE}"
        ) from None
    if not isinstance(state, dict) or "Conv2d_1a_3x3.conv.weight" not in state:
        raise MollituneError(
            f"fid.weights: {path} does not hold weights of {INCEPTION}; give {INCEPTION_FILE}"
        )
    return data


def _download_inception(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(
            URL_INCEPTION_V3, str(file), hash_prefix=_hash_prefix(), progress=False
        )
    except (OSError, urllib.error.URLError, RuntimeError) as error:
        raise MollituneError(
            f"fid.extractor={INCEPTION} has no weights: the download failed ({error}); either let "
            f"this machine reach {URL_INCEPTION_V3} once, or fetch that file elsewhere and give "
            f"fid.weights=/path/to/{INCEPTION_FILE}"
        ) from None


def _hash_prefix() -> str:
    return INCEPTION_FILE.rsplit("-", 1)[1].removesuffix(".pth")


def cache_folder() -> Path:
    """Return the folder for what can be computed again: ``$MOLLITUNE_CACHE`` or the home cache."""
    return Path(os.environ.get("MOLLITUNE_CACHE", "~/.cache/mollitune")).expanduser()
