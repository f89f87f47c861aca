"""FID of a generator against fixed real images, sample by sample on the device.

| GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)
| https://arxiv.org/abs/1706.08500
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .extractors.names import beside_column
from .extras.base import Sides
from .extras.registry import check_extras, measure_extras
from .moments import MomentStream
from .reference import Reference

SAMPLE_BATCH = 256
PICTURES = 64
ROWS = 512
"""Rows of a table that are kept for a picture."""
FARTHEST = 100.0
"""Standard deviations at which a value of a row counts that lies farther out, or is infinite."""


@dataclass(frozen=True)
class Measurement:
    """What one set of samples gave.

    Arguments:
        fid: The distance; non-finite values of samples count as black.
        non_finite: Samples that held such a value.
        pixels: The first samples for a picture: at most 64 as bytes, or 512 rows of a table.
        extras: Values of the metrics of ``fid.extra`` that were asked for, by their columns.
    """

    fid: float
    non_finite: int
    pixels: npt.NDArray[Any]
    extras: dict[str, float] = field(default_factory=dict)


class FidMeter:
    """Measures generators against one reference on one device.

    Samples go from the generator to the extractor without leaving the device. FID alone keeps
    moments, or the features if they are fewer than their dimension: the memory does not grow with
    the number of samples. Every extra metric keeps all features.

    Arguments:
        reference: What to compare with.
        samples: Generated images per measurement, at least 2.
        device: Where generator and extractor run.
        extras: Names of more metrics, as in ``fid.extra``.

    Raises:
        ValueError: If there are too few samples or real images for a metric, an extra is unknown
            or cannot be used, or the reference has no features for it.
    """

    def __init__(
        self,
        reference: Reference,
        samples: int,
        device: torch.device,
        extras: Iterable[str] = (),
    ) -> None:
        self.reference = reference
        self.samples = samples
        self.device = device
        self.extras = tuple(dict.fromkeys(extras))
        real = reference.statistics
        fewest = min(samples, real.count)
        if fewest < 2:
            raise ValueError(f"FID needs at least 2 images on either side, got {fewest}")
        check_extras(self.extras, fewest, real.features is not None)
        self._extract = reference.extractor.build(device)
        self._real = real.placed(device)

    def measure(self, draw: Callable[[int], Tensor], *, beside: bool = False) -> Measurement:
        """Draw samples batch by batch and return their metrics.

        Args:
            draw: Returns n images in [-1, 1] with shape (n, C, H, W), or rows (n, D).
            beside: Whether the same samples are measured in the other networks, too.
        """
        others = [FidStream(own, self.device) for own in self.reference.beside if beside]
        keep = bool(self.extras) or self.samples <= self._real.target.rank
        kept: list[Tensor] = []
        stream, pictures, non_finite = MomentStream(), [], 0
        for first in range(0, self.samples, SAMPLE_BATCH):
            x = draw(min(SAMPLE_BATCH, self.samples - first))
            non_finite += int((~x.isfinite()).flatten(1).any(1).sum())
            pixels, shown = (to_bytes(x), PICTURES) if x.ndim == 4 else (_within(x), ROWS)
            if first < shown:
                pictures.append(pixels[: shown - first].cpu().numpy())
            for other in others:
                other.add(pixels)
            features = self._extract(pixels)
            if keep:
                kept.append(features)
            else:
                stream.add(features)
        if keep:
            features = torch.cat(kept)
            fid = self._real.target.distance_of(features)
            extras = measure_extras(
                self.extras, Sides(features, self._real.target, self._real.features)
            )
        else:
            fid, extras = self._real.target.distance(stream.moments()), {}
        extras |= {other.column: other.fid() for other in others}
        return Measurement(fid, non_finite, np.concatenate(pictures), extras)


class FidStream:
    """FID in the features of one more network, of samples that come in batches.

    Arguments:
        reference: What to compare with.
        device: Where the network runs.
    """

    def __init__(self, reference: Reference, device: torch.device) -> None:
        self.column = beside_column(reference.extractor.name)
        self._extract = reference.extractor.build(device)
        self._target = reference.statistics.placed(device).target
        self._moments = MomentStream()

    def add(self, pixels: Tensor) -> None:
        """Take in samples as bytes with shape (n, C, H, W)."""
        self._moments.add(self._extract(pixels))

    def fid(self) -> float:
        """Return the FID of all samples so far."""
        return self._target.distance(self._moments.moments())


def _within(rows: Tensor) -> Tensor:
    """Return rows without what is not finite; count it before."""
    return rows.nan_to_num(0.0, FARTHEST, -FARTHEST).clamp(-FARTHEST, FARTHEST)


def to_bytes(x: Tensor) -> Tensor:
    """Return images in [-1, 1] as bytes: the inverse of dequantisation, floor(128 (x + 1)).

    Non-finite values become black; count them before.
    """
    return ((x.nan_to_num(-1.0, -1.0, -1.0) + 1) * 128).floor().clamp(0, 255).to(torch.uint8)
