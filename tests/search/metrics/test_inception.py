import hashlib
import urllib.error
from pathlib import Path

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import (
    URL_INCEPTION_V3,
    FeatureExtractorInceptionV3,
)

from mollitune._errors import MollituneError
from mollitune.search.data.images import Splits
from mollitune.search.metrics.extractors import inception as weights_module
from mollitune.search.metrics.extractors.extractor import prepare_extractor
from mollitune.search.metrics.extractors.inception import (
    ENVIRONMENT,
    INCEPTION_FILE,
    inception_weights,
)
from mollitune.search.metrics.extractors.names import INCEPTION


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub folder, on a machine where no variable names the weights."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.fixture
def standard(random_inception: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The random weights pass for the standard ones: the file is named after their hash."""
    name = f"weights-{hashlib.sha256(random_inception.read_bytes()).hexdigest()[:8]}.pth"
    monkeypatch.setattr(weights_module, "INCEPTION_FILE", name)
    return name


def test_inception_gives_torch_fidelitys_features(
    random_inception: Path, digits: Splits, tmp_path: Path
) -> None:
    prepared = prepare_extractor(INCEPTION, str(random_inception), digits.train, tmp_path)
    assert prepared.weights == random_inception.read_bytes()
    assert (prepared.features, prepared.resize) == (2048, "tensorflow bilinear 299")
    assert prepared.sha256 == hashlib.sha256(random_inception.read_bytes()).hexdigest()
    gray = torch.from_numpy(digits.validation.pixels[:2])
    features = prepared.build(torch.device("cpu"))(gray)
    with torch.random.fork_rng(devices=[]):
        theirs = FeatureExtractorInceptionV3(
            INCEPTION, ["2048"], feature_extractor_weights_path=str(random_inception)
        )
    (expected,) = theirs(gray.repeat(1, 3, 1, 1))
    assert features.shape == (2, 2048)
    assert expected.std() > 0
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)


def test_a_path_comes_before_the_environment_and_that_before_torchs_hub_folder(
    random_inception: Path, standard: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hub / standard).symlink_to(random_inception)
    assert inception_weights(None) == random_inception.read_bytes()
    (hub / standard).unlink()
    (hub / standard).write_bytes(b"never read")
    monkeypatch.setenv(ENVIRONMENT, str(random_inception))
    assert inception_weights(None) == random_inception.read_bytes()
    monkeypatch.setenv(ENVIRONMENT, str(hub / "none.pth"))
    assert inception_weights(str(random_inception)) == random_inception.read_bytes()


@pytest.mark.parametrize("origin", [ENVIRONMENT, "torch's hub folder"])
def test_other_weights_do_not_pass_for_the_standard_ones(
    random_inception: Path, hub: Path, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    found = hashlib.sha256(random_inception.read_bytes()).hexdigest()[:8]
    path = hub / INCEPTION_FILE
    path.symlink_to(random_inception)
    if origin == ENVIRONMENT:
        path = random_inception
        monkeypatch.setenv(ENVIRONMENT, str(random_inception))
    with pytest.raises(MollituneError, match=f"begins with {found}, not 6726825d") as caught:
        inception_weights(None)
    assert str(caught.value).startswith(f"{origin}: {path} is not the standard {INCEPTION_FILE}")
    assert str(caught.value).endswith(f"knowingly with fid.weights={path}")


def test_a_missing_file_is_named(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = str(hub / "none.pth")
    monkeypatch.setenv(ENVIRONMENT, missing)
    with pytest.raises(MollituneError, match=rf"{ENVIRONMENT}: cannot read .*none\.pth \(No such"):
        inception_weights(None)
    with pytest.raises(MollituneError, match=r"cannot read .*none\.pth \(No such.*give the path"):
        inception_weights(missing)


@pytest.mark.usefixtures("hub")
def test_without_a_network_the_error_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(MollituneError, match="no route to host") as caught:
        inception_weights(None)
    text = str(caught.value)
    assert f"reach {URL_INCEPTION_V3} once" in text
    assert f"fid.weights=/path/to/{INCEPTION_FILE} or set {ENVIRONMENT}" in text
    assert "\n" not in text


def test_a_file_with_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.pth"
    torch.save({"classifier.weight": torch.zeros(2)}, path)
    contents = {path.read_bytes(): f"does not hold weights of {INCEPTION}"}
    contents[path.read_bytes()[:100]] = "is not a torch weights file"
    torch.save(torch.zeros(2), path)
    contents[path.read_bytes()] = f"does not hold weights of {INCEPTION}"
    contents[b"<html>404</html>"] = contents[b""] = "is not a torch weights file"
    for data, message in contents.items():
        path.write_bytes(data)
        with pytest.raises(MollituneError, match=rf"bad\.pth {message}.*{INCEPTION_FILE}"):
            inception_weights(str(path))
