"""What the tests of the search share: one data set and one trained LeNet per test session."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.search.bench import Bench, write_faulty
from torch import Tensor
from torch_fidelity import feature_extractor_inceptionv3 as inception_module
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from mollitune.search.data.images import Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors.extractor import (
    INCEPTION,
    Extractor,
    cache_folder,
    prepare_extractor,
)
from mollitune.search.metrics.fid import FidMeter, Measurement
from mollitune.search.metrics.reference import Reference


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of this session that stands in for the user's cache, in child processes too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLLITUNE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def digits() -> Splits:
    return split(load_images("digits"))


@pytest.fixture(scope="session")
def lenet(cache: Path, digits: Splits) -> Extractor:
    """The extractor of digits; it takes seconds to train, so everyone uses this one."""
    assert cache_folder() == cache
    return prepare_extractor("lenet", None, digits.train, cache)


@pytest.fixture(scope="session")
def reference(lenet: Extractor, digits: Splits) -> Reference:
    return Reference.measure(lenet, digits.validation, "validation")


@pytest.fixture(scope="session")
def kept(lenet: Extractor, digits: Splits) -> Reference:
    """As ``reference``, with the features of the real images."""
    return Reference.measure(lenet, digits.validation, "validation", keep_features=True)


@pytest.fixture
def bench(digits: Splits, reference: Reference) -> Bench:
    return Bench(digits, reference)


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's own model that fails when it is told to."""
    monkeypatch.syspath_prepend(tmp_path)
    return write_faulty(tmp_path)


Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float64]


def draw_from(pixels: Pixels) -> Callable[[int], Tensor]:
    """A generator that gives out fixed images, one batch after the other."""
    rest = [torch.from_numpy(pixels)]

    def draw(n: int) -> Tensor:
        now, rest[0] = rest[0][:n], rest[0][n:]
        return (now + 0.5) / 128 - 1

    return draw


@pytest.fixture(scope="session")
def measure() -> Callable[..., Measurement]:
    """A function that measures given bytes as if a generator had made them."""

    def run(reference: Reference, pixels: Pixels, extras: tuple[str, ...] = ()) -> Measurement:
        meter = FidMeter(reference, len(pixels), torch.device("cpu"), extras)
        return meter.measure(draw_from(pixels))

    return run


@pytest.fixture(scope="session")
def exact_fid() -> Callable[[Features, Features], float]:
    """The definition of FID without any square root of a zero that was rounded.

    With centred features X and Y the trace of the root of X'X Y'Y is the sum of the singular
    values of X Y'.
    """

    def distance(a: Features, b: Features) -> float:
        x = (a - a.mean(0)) / np.sqrt(len(a) - 1)
        y = (b - b.mean(0)) / np.sqrt(len(b) - 1)
        cross = np.linalg.svd(x @ y.T, compute_uv=False).sum()
        between = np.square(a.mean(0) - b.mean(0)).sum()
        return float(between + np.square(x).sum() + np.square(y).sum() - 2 * cross)

    return distance


@pytest.fixture(scope="session")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of torch-fidelity's Inception network that nobody had to download.

    The weights are random, of the size that keeps activations near 1 through all layers: the
    constructor's own let them fade to 1e-8.
    """
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        patch.setattr(inception_module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3(INCEPTION, ["2048"])
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
    path: Path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path
