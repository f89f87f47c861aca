"""Images that are damaged or handed to torch-fidelity, and their features, for tests."""

import gzip
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from mollitune.search.metrics.extractors.extractor import Extractor, feature_batches


def features_of(extractor: Extractor, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return features with shape (N, F) of bytes with shape (N, C, H, W)."""
    cpu = torch.device("cpu")
    parts = feature_batches(extractor.build(cpu), pixels, cpu)
    return torch.cat(list(parts)).double().numpy()


def png(array: npt.NDArray[np.uint8]) -> bytes:
    """Encode (H, W) or (H, W, 3) bytes without loss."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    """The format of MNIST: magic number with type and rank, sides, bytes; all big-endian."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    data = head + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


class AsDataset(Dataset[Tensor]):
    """Bytes with shape (N, C, H, W) as torch-fidelity takes them."""

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        self._pixels = torch.from_numpy(pixels)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> Tensor:
        return self._pixels[index]


def noised(pixels: npt.NDArray[np.uint8], std: float) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, std, pixels.shape)
    out: npt.NDArray[np.uint8] = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return out


def floor(sigma: npt.NDArray[np.float64], n: int, m: int) -> float:
    r"""The expected distance of two samples of one Gaussian, to first order in 1/n + 1/m.

    The means are apart by :math:`s \operatorname{tr} \Sigma` with s = 1/(n-1) + 1/(m-1). The
    covariances differ by E with :math:`E_{ij}^2 = s \lambda_i \lambda_j (1 + \delta_{ij})` on
    average, and their part of the distance is :math:`\sum_{ij} E_{ij}^2 / 2(\lambda_i+\lambda_j)`.
    """
    values = np.linalg.eigvalsh(sigma)
    values = values[values > 1e-9]
    pairs = np.outer(values, values) / np.add.outer(values, values)
    s = 1 / (n - 1) + 1 / (m - 1)
    return float(s * (values.sum() + (pairs.sum() + np.trace(pairs)) / 2))
