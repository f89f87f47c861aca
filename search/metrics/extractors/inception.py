"""Where the weights of the standard Inception network come from, and whether they are the ones.

| GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)
"""

from __future__ import annotations

import hashlib
import io
import os
import urllib.error
from pathlib import Path

import torch

from mollitune._errors import MollituneError

from .names import INCEPTION

URL_INCEPTION_V3 = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
"""As torch-fidelity has it, which takes seconds to import."""
INCEPTION_FILE = Path(URL_INCEPTION_V3).name
ENVIRONMENT = "MOLLITUNE_INCEPTION_WEIGHTS"


def inception_weights(path: str | None) -> bytes:
    """Return the bytes of the weights file.

    Args:
        path: A file that may hold any weights of this architecture; values measured with it carry
            its hash. None: the standard weights, from the file that the environment variable
            ``MOLLITUNE_INCEPTION_WEIGHTS`` names, from torch's hub folder, or downloaded there as
            torch-fidelity does; only bytes with the hash in the name of torch-fidelity's file are
            accepted.

    Raises:
        MollituneError: If there is no file and no network, or the file holds something else.
    """
    if path is not None:
        return _read(Path(path).expanduser(), "fid.weights")
    named = os.environ.get(ENVIRONMENT)
    if named:
        return _read_standard(Path(named).expanduser(), ENVIRONMENT)
    file = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if not file.exists():
        _download(file)
    return _read_standard(file, "torch's hub folder")


def _read_standard(path: Path, origin: str) -> bytes:
    data = _read(path, origin)
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(_hash_prefix()):
        raise MollituneError(
            f"{origin}: {path} is not the standard {INCEPTION_FILE}: its sha256 begins with "
            f"{found[:8]}, not {_hash_prefix()}; replace it, or use these weights knowingly with "
            f"fid.weights={path}"
        )
    return data


def _read(path: Path, origin: str) -> bytes:
    try:
        data = path.read_bytes()
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except OSError as error:
        raise MollituneError(
            f"{origin}: cannot read {path} ({error.strerror}); give the path of {INCEPTION_FILE}"
        ) from None
    except Exception as error:  # torch.load raises whatever the damaged bytes lead it to
        raise MollituneError(
            f"{origin}: {path} is not a torch weights file ({type(error).__name__}); give the "
            f"path of {INCEPTION_FILE}"
        ) from None
    if not isinstance(state, dict) or "Conv2d_1a_3x3.conv.weight" not in state:
        raise MollituneError(
            f"{origin}: {path} does not hold weights of {INCEPTION}; give {INCEPTION_FILE}"
        )
    return data


def _download(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            URL_INCEPTION_V3, str(file), hash_prefix=_hash_prefix(), progress=False
        )
    except (OSError, urllib.error.URLError, RuntimeError) as error:
        raise MollituneError(
            f"fid.extractor={INCEPTION} has no weights: the download failed ({error}); either let "
            f"this machine reach {URL_INCEPTION_V3} once, or fetch that file elsewhere and give "
            f"fid.weights=/path/to/{INCEPTION_FILE} or set {ENVIRONMENT}"
        ) from None


def _hash_prefix() -> str:
    return INCEPTION_FILE.rsplit("-", 1)[1].removesuffix(".pth")
