"""FID of a generator against fixed real images, with torch-fidelity's statistics and distance.

| GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)

from .dataset import Images
from .extractors import Extractor, batched_features

SAMPLE_BATCH = 256


@dataclass(frozen=True)
class Moments:
    """Mean (F,) and covariance (F, F) of features, float64."""

    mu: npt.NDArray[np.float64]
    sigma: npt.NDArray[np.float64]

    @classmethod
    def of(cls, features: npt.NDArray[np.float64]) -> Moments:
        """Return the moments of features with shape (N, F), N >= 2."""
        statistics = fid_features_to_statistics(torch.from_numpy(features))
        return cls(statistics["mu"], statistics["sigma"])

    def distance(self, other: Moments) -> float:
        """Return the Frechet distance between the two Gaussians with these moments."""
        mine = {"mu": self.mu, "sigma": self.sigma}
        theirs = {"mu": other.mu, "sigma": other.sigma}
        return float(fid_statistics_to_metric(mine, theirs, verbose=False)[KEY_METRIC_FID])


@dataclass(frozen=True)
class Reference:
    """What generated images are compared with: an extractor and real images' moments.

    Arguments:
        extractor: The network, with its weights.
        moments: Moments of the real images' features.
        split: Which split the real images are.
        count: How many real images.
    """

    extractor: Extractor
    moments: Moments
    split: str
    count: int

    @classmethod
    def measure(cls, extractor: Extractor, images: Images, split: str) -> Reference:
        """Return the reference of real images, computed on the CPU."""
        device = torch.device("cpu")
        features = batched_features(extractor.build(device), images.pixels, device)
        return cls(extractor, Moments.of(features), split, len(images))


@dataclass(frozen=True)
class Measurement:
    """One FID with what it was measured on.

    Arguments:
        fid: The distance; NaN if any sample was not finite.
        non_finite: Samples that held a non-finite value.
        pixels: The first samples as bytes, at most 64, for a picture.
    """

    fid: float
    non_finite: int
    pixels: npt.NDArray[np.uint8]


class FidMeter:
    """Measures generators against one reference on one device.

    Arguments:
        reference: What to compare with.
        samples: Generated images per measurement.
        device: Where generator and extractor run.
    """

    def __init__(self, reference: Reference, samples: int, device: torch.device) -> None:
        self.reference = reference
        self.samples = samples
        self.device = device
        self._extract = reference.extractor.build(device)

    def measure(self, draw: Callable[[int], Tensor]) -> Measurement:
        """Draw samples batch by batch and return their FID.

        Args:
            draw: Returns n images in [-1, 1] with shape (n, C, H, W).
        """
        features, pictures, non_finite = [], [], 0
        for first in range(0, self.samples, SAMPLE_BATCH):
            x = draw(min(SAMPLE_BATCH, self.samples - first))
            non_finite += int((~x.isfinite()).flatten(1).any(1).sum())
            pixels = to_bytes(x)
            features.append(self._extract(pixels).double().cpu().numpy())
            if first < 64:
                pictures.append(pixels[: 64 - first].cpu().numpy())
        fid = float("nan")
        if not non_finite:
            fid = self.reference.moments.distance(Moments.of(np.concatenate(features)))
        return Measurement(fid, non_finite, np.concatenate(pictures))


def to_bytes(x: Tensor) -> Tensor:
    """Return images in [-1, 1] as bytes: the inverse of dequantisation, floor(128 (x + 1)).

    Non-finite values become black; count them before.
    """
    return ((x.nan_to_num(-1.0, -1.0, -1.0) + 1) * 128).floor().clamp(0, 255).to(torch.uint8)
