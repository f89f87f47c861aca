"""FID of a generator against fixed real images, sample by sample on the device.

| GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)
| https://arxiv.org/abs/1706.08500
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .extras import NEED_REAL_FEATURES, Extra, check_extras, fid_infinity, kid, precision_recall
from .moments import MomentStream
from .reference import Reference

SAMPLE_BATCH = 256
PICTURES = 64


@dataclass(frozen=True)
class Measurement:
    """What one set of samples gave.

    Arguments:
        fid: The distance; non-finite values of samples count as black.
        non_finite: Samples that held such a value.
        pixels: The first samples as bytes, at most 64, for a picture.
        kid: Kernel distance, if asked for, as the next three.
        precision: Share of the samples inside the real images' manifold.
        recall: Share of the real images inside the samples' manifold.
        fid_infinity: FID extrapolated to infinitely many samples.
    """

    fid: float
    non_finite: int
    pixels: npt.NDArray[np.uint8]
    kid: float | None = None
    precision: float | None = None
    recall: float | None = None
    fid_infinity: float | None = None


class FidMeter:
    """Measures generators against one reference on one device.

    Samples go from the generator to the extractor without leaving the device. FID alone keeps
    moments, or the features if they are fewer than their dimension: the memory does not grow with
    the number of samples. Every extra metric keeps all features.

    Arguments:
        reference: What to compare with.
        samples: Generated images per measurement, at least 2.
        device: Where generator and extractor run.
        extras: More metrics: ``kid``, ``prc`` (precision and recall), ``fid_infinity``.

    Raises:
        ValueError: If there are too few samples or real images for a metric, an extra is unknown,
            or the reference has no features for it.
    """

    def __init__(
        self,
        reference: Reference,
        samples: int,
        device: torch.device,
        extras: Iterable[Extra] = (),
    ) -> None:
        self.reference = reference
        self.samples = samples
        self.device = device
        self.extras = frozenset(extras)
        real = reference.statistics
        fewest = min(samples, real.count)
        if fewest < 2:
            raise ValueError(f"FID needs at least 2 images on either side, got {fewest}")
        check_extras(self.extras, fewest, real.features is not None)
        self._extract = reference.extractor.build(device)
        self._target = real.target(device)
        self._real: Tensor | None = None
        if self.extras & NEED_REAL_FEATURES:
            self._real = torch.tensor(real.features, device=device)

    def measure(self, draw: Callable[[int], Tensor]) -> Measurement:
        """Draw samples batch by batch and return their metrics.

        Args:
            draw: Returns n images in [-1, 1] with shape (n, C, H, W).
        """
        keep = bool(self.extras) or self.samples <= self._target.rank
        kept: list[Tensor] = []
        stream, pictures, non_finite = MomentStream(), [], 0
        for first in range(0, self.samples, SAMPLE_BATCH):
            x = draw(min(SAMPLE_BATCH, self.samples - first))
            non_finite += int((~x.isfinite()).flatten(1).any(1).sum())
            pixels = to_bytes(x)
            if first < PICTURES:
                pictures.append(pixels[: PICTURES - first].cpu().numpy())
            features = self._extract(pixels)
            if keep:
                kept.append(features)
            else:
                stream.add(features)
        if keep:
            values = self._values(torch.cat(kept))
        else:
            values = {"fid": self._target.distance(stream.moments())}
        return Measurement(non_finite=non_finite, pixels=np.concatenate(pictures), **values)

    def _values(self, features: Tensor) -> dict[str, float]:
        values = {"fid": self._target.distance_of(features)}
        if "fid_infinity" in self.extras:
            values["fid_infinity"] = fid_infinity(self._target, features)
        if self._real is not None and "kid" in self.extras:
            values["kid"] = kid(features, self._real)
        if self._real is not None and "prc" in self.extras:
            values["precision"], values["recall"] = precision_recall(features, self._real)
        return values


def to_bytes(x: Tensor) -> Tensor:
    """Return images in [-1, 1] as bytes: the inverse of dequantisation, floor(128 (x + 1)).

    Non-finite values become black; count them before.
    """
    return ((x.nan_to_num(-1.0, -1.0, -1.0) + 1) * 128).floor().clamp(0, 255).to(torch.uint8)
