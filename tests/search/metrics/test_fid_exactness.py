"""FID and KID are torch-fidelity's, for the same images and the same weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch_fidelity
from tests.search.features import AsDataset, features_of, noised
from torch import Tensor
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)

from mollitune.search.data.images import Splits
from mollitune.search.metrics.extractors.extractor import (
    INCEPTION,
    Extractor,
    prepare_extractor,
    register,
)
from mollitune.search.metrics.fid import Measurement
from mollitune.search.metrics.reference import Reference

Pixels = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]
Measure = Callable[..., Measurement]


def torch_fidelitys(name: str, weights: Path, fake: Pixels, real: Pixels) -> tuple[float, float]:
    """Return FID and KID as the documentation of torch-fidelity says to compute them."""
    register(name)
    metrics = torch_fidelity.calculate_metrics(
        input1=AsDataset(fake),
        input2=AsDataset(real),
        fid=True,
        kid=True,
        kid_subsets=1,  # all are compared with all
        kid_subset_size=len(real),
        feature_extractor=name,
        feature_extractor_weights_path=str(weights),
        batch_size=256,
        save_cpu_ram=True,
        cache=False,
        cuda=False,
        verbose=False,
    )
    return metrics["frechet_inception_distance"], metrics["kernel_inception_distance_mean"]


def statistics_to_fid(a: Tensor, b: Tensor) -> float:
    """Return the number that `calculate_metrics` makes of features."""
    one, two = fid_features_to_statistics(a), fid_features_to_statistics(b)
    return float(fid_statistics_to_metric(one, two, verbose=False)[KEY_METRIC_FID])


@pytest.fixture(scope="module")
def lenet_file(lenet: Extractor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lenet") / "lenet.pt"
    path.write_bytes(lenet.weights)
    return path


def test_lenet(kept: Reference, lenet_file: Path, digits: Splits, measure: Measure) -> None:
    fake = noised(digits.train.pixels[: len(digits.validation)], 60)
    fid, kid = torch_fidelitys("lenet", lenet_file, fake, digits.validation.pixels)
    measured = measure(kept, fake, ("kid",))
    assert fid > 5
    assert measured.fid == pytest.approx(fid, rel=1e-6)
    assert measured.extras["kid"] == pytest.approx(kid, rel=1e-5)  # of sums in float32


def test_what_is_left_is_rounding_of_torch_fidelitys(
    kept: Reference,
    lenet: Extractor,
    digits: Splits,
    measure: Measure,
    exact_fid: Callable[[Float64, Float64], float],
) -> None:
    fake = noised(digits.train.pixels[:500], 20)
    images = fake, digits.validation.pixels
    a, b = (torch.from_numpy(features_of(lenet, x)).float() for x in images)
    exact = exact_fid(a.double().numpy(), b.double().numpy())
    assert abs(measure(kept, fake).fid / exact - 1) < 1e-9

    # in float64, and without features that are always 0, whose eigenvalues 0 come out of a
    # general eigenvalue problem as +-1e-13, torch-fidelity's value is exact too
    live = a.any(0) | b.any(0)
    assert 0 < (~live).sum() < 32
    a, b = a[:, live], b[:, live]
    double = statistics_to_fid(a.double(), b.double())
    assert abs(double / exact - 1) < 1e-9

    # it averages the extractor's float32 features in float32; all else is float64
    single = statistics_to_fid(a, b)
    assert 1e-8 < abs(single / double - 1) < 1e-5
    assert single - between(a, b) == pytest.approx(
        double - between(a.double(), b.double()), rel=1e-9
    )


def between(a: Tensor, b: Tensor) -> float:
    """The means' part of the distance, with means in the features' precision."""
    shift = a.numpy().mean(0) - b.numpy().mean(0)
    return float(shift.dot(shift))


@pytest.mark.slow
def test_inception_of_any_weights(
    random_inception: Path, digits: Splits, measure: Measure, tmp_path: Path
) -> None:
    extractor = prepare_extractor(INCEPTION, str(random_inception), digits.train, tmp_path)
    # white paper against black: a large distance between few images
    fake, real = 255 - digits.train.pixels[:4], digits.validation.take(np.arange(4))
    colours = [np.repeat(pixels, 3, axis=1) for pixels in (fake, real.pixels)]
    fid, kid = torch_fidelitys(INCEPTION, random_inception, *colours)
    reference = Reference.measure(extractor, real, "validation", keep_features=True)
    measured = measure(reference, fake, ("kid",))
    assert fid > 1
    assert measured.fid == pytest.approx(fid, rel=1e-6)
    assert measured.extras["kid"] == pytest.approx(kid, rel=1e-5)  # of sums in float32
