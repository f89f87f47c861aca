import io
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3 as inception_module
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from mollitune._errors import MollituneError
from mollitune.search import extractors
from mollitune.search.dataset import Images, Splits
from mollitune.search.extractors import (
    INCEPTION,
    INCEPTION_FILE,
    Extractor,
    batched_features,
    prepare_extractor,
)

CPU = torch.device("cpu")


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
    extract = lenet.build(CPU)
    whole = batched_features(extract, digits.validation.pixels, CPU)
    assert whole.shape == (359, 64)
    assert whole.dtype == np.float64
    monkeypatch.setattr(extractors, "BATCH", 50)
    parts = batched_features(extract, digits.validation.pixels, CPU)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)  # float32 networks


@pytest.fixture(scope="module")
def inception() -> FeatureExtractorInceptionV3:
    """torch-fidelity's network with random weights, built without the download."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        patch.setattr(inception_module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        return FeatureExtractorInceptionV3(INCEPTION, ["2048"])


@pytest.fixture(scope="module")
def weights(
    inception: FeatureExtractorInceptionV3, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path: Path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(inception.state_dict(), path)
    return path


def test_inception_gives_torch_fidelitys_features(
    inception: FeatureExtractorInceptionV3, weights: Path, digits: Splits, tmp_path: Path
) -> None:
    prepared = prepare_extractor(INCEPTION, str(weights), digits.train, tmp_path)
    assert prepared.weights == weights.read_bytes()
    gray = torch.from_numpy(digits.validation.pixels[:2])
    features = prepared.build(CPU)(gray)
    (expected,) = inception(gray.repeat(1, 3, 1, 1))
    assert features.shape == (2, 2048)
    assert expected.std() > 0
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)


def test_inception_weights_are_found_in_torchs_hub_folder(
    weights: Path, digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / INCEPTION_FILE).symlink_to(weights)
    prepared = prepare_extractor(INCEPTION, None, digits.train, tmp_path)
    assert prepared.weights == weights.read_bytes()


def test_without_a_network_the_error_says_both_ways_to_mend_it(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(MollituneError, match="no route to host") as caught:
        prepare_extractor(INCEPTION, None, digits.train, tmp_path)
    text = str(caught.value)
    assert f"reach {inception_module.URL_INCEPTION_V3} once" in text
    assert f"fid.weights=/path/to/{INCEPTION_FILE}" in text
    assert "\n" not in text


def test_a_missing_weights_file_is_named(digits: Splits, tmp_path: Path) -> None:
    with pytest.raises(
        MollituneError, match=r"cannot read .*none\.pth \(No such file.*give the path"
    ):
        prepare_extractor(INCEPTION, str(tmp_path / "none.pth"), digits.train, tmp_path)


def saved(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>404</html>", "is not a torch weights file"),
        (b"", "is not a torch weights file"),
        (saved({"a": torch.zeros(2)})[:100], "is not a torch weights file"),
        (saved({"classifier.weight": torch.zeros(2)}), f"does not hold weights of {INCEPTION}"),
        (saved(torch.zeros(2)), f"does not hold weights of {INCEPTION}"),
    ],
)
def test_a_file_with_something_else_is_refused(
    digits: Splits, tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(data)
    with pytest.raises(MollituneError, match=rf"bad\.pth {message}") as caught:
        prepare_extractor(INCEPTION, str(path), digits.train, tmp_path)
    assert INCEPTION_FILE in str(caught.value)
