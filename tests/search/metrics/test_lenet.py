import io

import numpy as np
import pytest
import torch

from mollitune._errors import MollituneError
from mollitune.search.data.images import Images, Splits
from mollitune.search.metrics.extractors import lenet as lenet_module
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.metrics.extractors.lenet import LeNet, LeNetExtractor, train_lenet


def test_it_recognises_held_out_digits(lenet: Extractor, digits: Splits) -> None:
    state = torch.load(io.BytesIO(lenet.weights), weights_only=True)
    network = LeNet(1, 10)
    network.load_state_dict(state)
    with torch.no_grad():
        guess = network(torch.from_numpy(digits.validation.pixels)).argmax(1).numpy()
    assert digits.validation.labels is not None
    assert (guess == digits.validation.labels).mean() >= 0.9


def test_equal_data_give_equal_weights(digits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    # too short to be of use but the same in every other respect
    monkeypatch.setattr(lenet_module, "STEPS", 10)
    before, told = torch.get_rng_state(), list[tuple[int, int]]()
    one = train_lenet(digits.train, progress=lambda *at: told.append(at))
    other = train_lenet(digits.train, seed=1)
    assert told == [(step, 10) for step in range(11)]
    with torch.no_grad():
        two = train_lenet(digits.train)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_it_needs_two_classes() -> None:
    for labels in (None, np.zeros(120, np.int64)):
        images = Images("plain", np.zeros((120, 1, 8, 8), np.uint8), labels)
        with pytest.raises(MollituneError, match=r"plain: .*two classes; use fid.extractor="):
            train_lenet(images)


def test_any_size_gives_sixty_four_features() -> None:
    for shape in [(1, 8, 8), (3, 9, 13), (3, 64, 64)]:
        network = LeNet(shape[0], 5)
        pixels = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
        assert network.embed(pixels).shape == (2, 64)
        assert network(pixels).shape == (2, 5)


def test_torch_fidelity_sees_one_layer(lenet: Extractor) -> None:
    extractor = LeNetExtractor("lenet", ["64"], io.BytesIO(lenet.weights))
    pixels = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    (features,) = extractor(pixels)
    assert torch.equal(features, extractor.network.embed(pixels))
    assert LeNetExtractor.get_provided_features_list() == ("64",)
    assert LeNetExtractor.get_default_feature_layer_for_metric("fid") == "64"
    assert not LeNetExtractor.can_be_compiled()
