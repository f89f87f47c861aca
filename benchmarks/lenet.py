"""How few steps of LeNet's training leave the ranking of image sets as it is.

The sets are the test images, damaged: blurred, noised, mixed with others, or without some classes.
The FIDs of all sets are compared with those of the longest training on the true labels by
Spearman's rank correlation; the second seed tells what is chance. A set is out of order if its FID
is not above that of a weaker damage of the same kind, or of clean images.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from mollitune.search.data.images import Images, Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors import lenet
from mollitune.search.metrics.extractors.extractor import LENET, Extractor, feature_batches
from mollitune.search.metrics.frechet import Target
from mollitune.search.metrics.moments import Moments

CPU = torch.device("cpu")
SEEDS = (0, 1)
MOST = 1000
"""Images of a set, at most."""
Pixels = npt.NDArray[np.uint8]
Damage = tuple[str, float, Pixels]
"""A kind, how strong, and the images."""


def damages(splits: Splits) -> Iterator[Damage]:
    """Yield the sets, of each kind from the weakest to the strongest."""
    images, side = splits.test.take(np.arange(min(MOST, len(splits.test)))), splits.shape[-1]
    clean, rng = images.pixels, np.random.default_rng(0)
    yield "clean", 0, clean
    for share in (0.04, 0.08, 0.16):
        blurred = gaussian_filter(clean.astype(np.float32), (0, 0, share * side, share * side))
        yield "blur", share, blurred.round().astype(np.uint8)
    for std in (8, 16, 32, 64):
        noised = clean + rng.normal(0, std, clean.shape)
        yield "noise", std, noised.round().clip(0, 255).astype(np.uint8)
    for share in (0.1, 0.3, 0.6):
        for kind, other in (
            ("some are noise", rng.integers(0, 256, clean.shape, np.uint8)),
            ("some are the mean image", clean.mean(0).astype(np.uint8)),
        ):
            mixed, count = clean.copy(), int(share * len(clean))
            mixed[:count] = np.broadcast_to(other, clean.shape)[:count]
            yield kind, share, mixed
    for share in (0.2, 0.5, 0.8):
        yield "classes are missing", share, _without(images, share)


def _without(images: Images, share: float) -> Pixels:
    """Return images without the last classes, the rest repeated to as many as before."""
    assert images.labels is not None
    kept = images.pixels[images.labels < round((1 - share) * (images.labels.max() + 1))]
    return np.resize(kept, images.pixels.shape)


def fids(extractor: Extractor, splits: Splits) -> list[float]:
    """Return the FID of each set against images of the training split."""
    extract = extractor.build(CPU)

    def moments(pixels: Pixels) -> Moments:
        return Moments.of(torch.cat(list(feature_batches(extract, pixels, CPU))))

    real = Target.of(moments(splits.train.pixels[:5000]))
    return [real.distance(moments(pixels)) for _, _, pixels in damages(splits)]


def trained(images: Images, steps: int, seed: int) -> Extractor:
    """Return LeNet after so many steps."""
    buffer = io.BytesIO()
    with mock.patch.object(lenet, "STEPS", steps):
        torch.save(lenet.train_lenet(images, seed), buffer)
    return Extractor(LENET, buffer.getvalue(), lenet.FEATURES, "none")


def out_of_order(splits: Splits, found: list[float]) -> str:
    """Return the sets that are, in words."""
    weaker: dict[str, float] = {}
    wrong = []
    for (kind, strength, _), fid in zip(damages(splits), found, strict=True):
        if kind != "clean" and fid <= weaker.get(kind, found[0]):
            wrong.append(f"{kind} {strength:g}")
        weaker[kind] = fid
    return ", ".join(wrong) or "none"


def compare(spec: str, steps: list[int]) -> None:
    """Print a table for one data set."""
    splits = split(load_images(spec))
    best = fids(trained(splits.train, max(steps), 0), splits)
    print(f"\n{spec}: {splits.counts()}\n")
    print("| extractor | seconds | rank correlation | out of order |\n|---|---|---|---|")

    def row(name: str, extractor: Extractor, seconds: float) -> None:
        found = fids(extractor, splits)
        rank = spearmanr(found, best).statistic
        wrong = out_of_order(splits, found)
        print(f"| {name} | {seconds:.1f} | {rank:.3f} | {wrong} |", flush=True)

    for kind in ("true", "made"):
        start = time.perf_counter()
        images = splits.train if kind == "true" else lenet.pseudo_labelled(splits.train)
        making = time.perf_counter() - start
        for count in steps:
            for seed in SEEDS:
                start = time.perf_counter()
                extractor = trained(images, count, seed)
                seconds = making + time.perf_counter() - start
                row(f"{kind} labels, {count} steps, seed {seed}", extractor, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", default=["digits"], help="data sets with labels")
    parser.add_argument("--steps", type=int, nargs="+", default=[58, 117, 234, 468, 936])
    asked = parser.parse_args()
    for spec in asked.data:
        compare(spec, asked.steps)


if __name__ == "__main__":
    main()
