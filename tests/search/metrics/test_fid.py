import gc
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.search.features import floor, noised
from torch import Tensor

from mollitune.models import dequantise
from mollitune.search.data.images import Splits
from mollitune.search.metrics import fid as fid_module
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.metrics.extractors.lenet import LeNetExtractor
from mollitune.search.metrics.fid import FidMeter, Measurement, to_bytes
from mollitune.search.metrics.reference import Reference

CPU = torch.device("cpu")
Pixels = npt.NDArray[np.uint8]
Measure = Callable[..., Measurement]


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
        reference = Reference.measure(lenet, one, "train")
        fids.append(measure(reference, two.pixels).fid)
    known = floor(Reference.measure(lenet, digits.train, "train").statistics.sigma, 539, 539)
    # the features cluster by class, with lighter tails than a Gaussian's: a little below
    assert 0.6 * known < np.mean(fids) < 1.1 * known
    assert max(fids) < measure(reference, noised(two.pixels, 80)).fid / 3


def test_a_cached_reference_measures_the_same_and_travels(
    reference: Reference, lenet: Extractor, digits: Splits, tmp_path: Path, measure: Measure
) -> None:
    fake = noised(digits.train.pixels[:300], 20)
    expected = measure(reference, fake).fid
    for _ in range(2):  # computed, then read
        cached = Reference.measure(lenet, digits.validation, "validation", tmp_path)
        assert measure(pickle.loads(pickle.dumps(cached)), fake).fid == expected


def test_meters_of_a_process_share_network_and_real_features(kept: Reference) -> None:
    """Sixteen trials in a process would hold sixteen Inceptions; when they go, it does."""
    assert kept.statistics.features is not None
    shape = kept.statistics.features.shape
    own = replace(kept, extractor=replace(kept.extractor, resize="of this test"))

    def size() -> tuple[int, int]:
        networks = [one for one in gc.get_objects() if type(one) is LeNetExtractor]
        tensors = [one for one in gc.get_objects() if type(one) is Tensor]
        return len(networks), sum(one.shape == shape for one in tensors)

    before = size()
    meters = [FidMeter(replace(own), samples, CPU, ["kid"]) for samples in (60, 60, 70)]
    assert size() == (before[0] + 1, before[1] + 1)
    meters.clear()
    assert size() == before


def test_it_does_not_depend_on_the_batches(
    reference: Reference, digits: Splits, monkeypatch: pytest.MonkeyPatch, measure: Measure
) -> None:
    fakes = [noised(digits.train.pixels[:samples], 20) for samples in (30, 300)]
    whole = [measure(reference, fake).fid for fake in fakes]
    monkeypatch.setattr(fid_module, "SAMPLE_BATCH", 7)
    parts = [measure(reference, fake).fid for fake in fakes]
    assert parts == pytest.approx(whole, rel=1e-4)  # float32 features


def test_non_finite_samples_are_black_and_counted(reference: Reference) -> None:
    def broken(n: int) -> Tensor:
        x = torch.linspace(-1, 1, n * 64).reshape(n, 1, 8, 8).clone()
        x[0, 0, 0, 0], x[0, 0, 3, 3], x[1, 0, 0, 0] = torch.nan, torch.nan, torch.inf
        return x

    def black(n: int) -> Tensor:
        return broken(n).nan_to_num(-1.0, -1.0, -1.0)

    meter = FidMeter(reference, 300, CPU)
    measured, expected = meter.measure(broken), meter.measure(black)
    assert measured.non_finite == 4  # two batches, two bad ones in each
    assert expected.non_finite == 0
    assert measured.fid == expected.fid > 0


def test_the_first_samples_are_kept_for_a_picture(
    reference: Reference, digits: Splits, measure: Measure
) -> None:
    for samples in (20, 64, 300):
        pixels = digits.train.pixels[:samples]
        assert np.array_equal(measure(reference, pixels).pixels, pixels[:64])


def test_fewer_images_than_features_are_said_to_be_biased(reference: Reference) -> None:
    assert reference.small_sample_warning(64) is None
    text = str(reference.small_sample_warning(63))
    assert "63 samples against 359 real images" in text
    assert "lenet has 64 features" in text
    assert "\n" not in text
    few = replace(reference, statistics=replace(reference.statistics, count=63))
    assert "63 real images" in str(few.small_sample_warning(2000))


def test_bytes_come_back_from_dequantised_images() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(50, 1, 1, 1)
    x = dequantise(every, torch.Generator().manual_seed(0))
    assert torch.equal(to_bytes(x), every)


def test_a_float_becomes_the_byte_below_and_never_the_nearest() -> None:
    # byte k holds [k / 128 - 1, (k + 1) / 128 - 1), whose ends are exact in float32
    k = torch.arange(256)
    for within in (0.0, 0.5, 0.999):
        assert torch.equal(to_bytes((k + within) / 128 - 1), k.to(torch.uint8))
    x = torch.tensor([-7.0, -1.0, 1.0, 7.0, torch.nan, torch.inf, -torch.inf])
    assert to_bytes(x).tolist() == [0, 0, 255, 255, 0, 0, 0]
