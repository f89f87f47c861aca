from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch_fidelity
from scipy.linalg import sqrtm
from torch import Tensor
from torch.utils.data import Dataset

from mollitune.models import dequantise
from mollitune.search import fid as fid_module
from mollitune.search.dataset import Splits
from mollitune.search.extractors import Extractor, batched_features
from mollitune.search.fid import FidMeter, Moments, Reference, to_bytes

CPU = torch.device("cpu")
Pixels = npt.NDArray[np.uint8]


def draw_from(pixels: Pixels) -> Callable[[int], Tensor]:
    """A generator that gives out fixed images, one batch after the other."""
    rest = [torch.from_numpy(pixels)]

    def draw(n: int) -> Tensor:
        now, rest[0] = rest[0][:n], rest[0][n:]
        return (now + 0.5) / 128 - 1

    return draw


def measure(reference: Reference, pixels: Pixels) -> float:
    return FidMeter(reference, len(pixels), CPU).measure(draw_from(pixels)).fid


def noisy(pixels: Pixels, std: float) -> Pixels:
    noise = np.random.default_rng(0).normal(0, std, pixels.shape) if std else 0.0
    out: Pixels = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return out


class AsDataset(Dataset[Tensor]):
    def __init__(self, pixels: Pixels) -> None:
        self._pixels = torch.from_numpy(pixels)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> Tensor:
        return self._pixels[index]


def test_it_is_torch_fidelitys_fid(
    reference: Reference, lenet: Extractor, digits: Splits, tmp_path: Path
) -> None:
    fake = noisy(digits.train.pixels[:500], 20)
    path = tmp_path / "lenet.pt"
    path.write_bytes(lenet.weights)
    lenet.build(CPU)  # registers the extractor
    metrics = torch_fidelity.calculate_metrics(
        input1=AsDataset(fake),
        input2=AsDataset(digits.validation.pixels),
        fid=True,
        feature_extractor="lenet",
        feature_extractor_weights_path=str(path),
        batch_size=256,
        save_cpu_ram=True,
        cache=False,
        cuda=False,
        verbose=False,
    )
    expected = metrics["frechet_inception_distance"]
    assert expected > 1
    # torch-fidelity averages the features in float32, we in float64
    assert measure(reference, fake) == pytest.approx(expected, rel=1e-5)


def test_it_is_the_frechet_distance(
    reference: Reference, lenet: Extractor, digits: Splits
) -> None:
    fake = noisy(digits.train.pixels[:500], 20)
    extract = lenet.build(CPU)
    a = batched_features(extract, fake, CPU)
    b = batched_features(extract, digits.validation.pixels, CPU)
    # a little of the identity, since dead features make the covariances singular
    jitter = 1e-9 * np.eye(a.shape[1])
    root = sqrtm((np.cov(a.T) + jitter) @ (np.cov(b.T) + jitter)).real
    between = np.square(a.mean(0) - b.mean(0)).sum()
    expected = between + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert measure(reference, fake) == pytest.approx(expected, rel=1e-4)


def test_real_images_are_at_no_distance_from_themselves(
    reference: Reference, digits: Splits
) -> None:
    assert measure(reference, digits.validation.pixels) == pytest.approx(0, abs=1e-3)
    assert (reference.split, reference.count) == ("validation", 359)


def test_it_is_symmetric_and_closed_for_gaussians() -> None:
    one = Moments(np.array([0.0, 3.0]), np.diag([4.0, 9.0]))
    two = Moments(np.array([4.0, 0.0]), np.diag([1.0, 25.0]))
    # 3-4-5 between the means; (2 - 1)^2 + (3 - 5)^2 between the widths
    assert one.distance(two) == pytest.approx(25 + 1 + 4, abs=1e-6)
    assert two.distance(one) == pytest.approx(one.distance(two), rel=1e-9)


def test_it_does_not_depend_on_the_batches(
    reference: Reference, digits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = noisy(digits.train.pixels[:300], 20)
    whole = measure(reference, fake)
    monkeypatch.setattr(fid_module, "SAMPLE_BATCH", 77)
    assert measure(reference, fake) == pytest.approx(whole, rel=1e-4)


def test_it_grows_with_the_noise(reference: Reference, digits: Splits) -> None:
    real = digits.train.pixels[:500]
    values = [measure(reference, noisy(real, std)) for std in (0, 15, 30, 60, 120)]
    assert all(less < more for less, more in pairwise(values))


def test_non_finite_samples_give_nan_and_are_counted(reference: Reference, digits: Splits) -> None:
    draw = draw_from(digits.train.pixels[:300])

    def broken(n: int) -> Tensor:
        x = draw(n)
        x[0, 0, 0, 0], x[0, 0, 3, 3], x[1, 0, 0, 0] = torch.nan, torch.nan, torch.inf
        return x

    measured = FidMeter(reference, 300, CPU).measure(broken)  # two batches, two bad ones in each
    assert np.isnan(measured.fid)
    assert measured.non_finite == 4


@pytest.mark.parametrize(("samples", "shown"), [(20, 20), (64, 64), (300, 64)])
def test_the_first_samples_are_kept_for_a_picture(
    reference: Reference, digits: Splits, samples: int, shown: int
) -> None:
    pixels = digits.train.pixels[:samples]
    measured = FidMeter(reference, samples, CPU).measure(draw_from(pixels))
    assert (measured.pixels == pixels[:shown]).all()
    assert measured.pixels.shape[0] == shown


def test_bytes_come_back_from_dequantised_images() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(50, 1, 1, 1)
    x = dequantise(every, torch.Generator().manual_seed(0))
    assert torch.equal(to_bytes(x), every)


def test_the_ends_of_the_range_and_beyond_stay_bytes() -> None:
    x = torch.tensor([-7.0, -1.0, 1.0, 7.0, torch.nan, torch.inf, -torch.inf])
    assert to_bytes(x).tolist() == [0, 0, 255, 255, 0, 0, 0]
