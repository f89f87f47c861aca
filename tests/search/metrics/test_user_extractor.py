import copy
import hashlib
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_fidelity
from tests.search.features import AsDataset, features_of
from torch import Tensor, nn

from mollitune._errors import MollituneError
from mollitune.search.data.images import Splits
from mollitune.search.metrics.extractors.extractor import Extractor, prepare_extractor, register
from mollitune.search.metrics.extractors.user import FileExtractor, check_features

CPU = torch.device("cpu")

SOURCE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.register_buffer("shift", torch.ones(1, 1, 1, 1))

    def forward(self, pixels):
        x = self.norm(self.conv(pixels.float() / 127.5 - self.shift))
        return torch.relu(x).mean((2, 3))


class Hungry(nn.Module):
    def __init__(self, size):
        super().__init__()


class Plain:
    pass
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the user's module."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "users_nets.py").write_text(SOURCE)
    return folder


@pytest.fixture(autouse=True)
def _importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)


@pytest.fixture(scope="module")
def network(folder: Path) -> nn.Module:
    """The user's network, as `prepare_extractor` builds it."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.syspath_prepend(folder)
        import users_nets  # type: ignore[import-not-found]

        torch.manual_seed(0)
        net: nn.Module = users_nets.Net().eval()
    return net


def save_script(network: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=FutureWarning)
        torch.jit.save(torch.jit.script(network), path)
    return path


def save_export(network: nn.Module, path: Path, dynamic: bool = True) -> Path:
    pixels = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("n")},) if dynamic else None
    torch.export.save(torch.export.export(network, (pixels,), dynamic_shapes=shapes), path)
    return path


@pytest.fixture(scope="module")
def names(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a config says for the same network in its three forms."""
    files = tmp_path_factory.mktemp("files")
    return {
        "script": f"file:{save_script(network, files / 'net.pt')}",
        "export": f"file:{save_export(network, files / 'net.pt2')}",
        "class": "users_nets:Net",
    }


def prepare(name: str, digits: Splits) -> Extractor:
    return prepare_extractor(name, None, digits.train, Path("unused"))


@pytest.mark.parametrize("form", ["script", "export", "class"])
def test_features_are_the_modules_here_and_in_torch_fidelity(
    form: str,
    names: dict[str, str],
    network: nn.Module,
    digits: Splits,
    tmp_path: Path,
    exact_fid: Callable[..., float],
) -> None:
    extractor = prepare(names[form], digits)
    assert (extractor.features, extractor.resize) == (8, "its own")
    real, fake = digits.validation.pixels[:150], digits.test.pixels[:150]
    ours = [features_of(extractor, x) for x in (fake, real)]
    with torch.no_grad():
        expected = network(torch.from_numpy(fake)).double().numpy()
    np.testing.assert_allclose(ours[0], expected, rtol=1e-5, atol=1e-6)

    path = tmp_path / "weights"
    path.write_bytes(extractor.weights)
    how: dict[str, Any] = {"cache": False, "cuda": False, "verbose": False, "save_cpu_ram": True}
    register(extractor.name)
    metrics = torch_fidelity.calculate_metrics(
        input1=AsDataset(fake),
        input2=AsDataset(real),
        fid=True,
        feature_extractor=extractor.name,
        feature_extractor_weights_path=str(path),
        **how,
    )
    # torch-fidelity sums its covariances in another order
    fid = metrics["frechet_inception_distance"]
    assert fid == pytest.approx(exact_fid(*ours), rel=1e-3) != 0
    register(extractor.name)  # twice is harmless


def test_one_name_with_other_weights_is_another_identity(
    network: nn.Module, digits: Splits, tmp_path: Path
) -> None:
    path = save_export(network, tmp_path / "a.pt2")
    first = prepare(f"file:{path}", digits)
    assert first.name == "file:a.pt2"
    assert first.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    other = copy.deepcopy(network)
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1
    second = prepare(f"file:{save_export(other, path)}", digits)
    assert first.name == second.name
    assert first.identity != second.identity


def test_a_class_with_another_source_is_another_identity(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "nets_a.py").write_text(SOURCE)
    (tmp_path / "nets_b.py").write_text(SOURCE.replace("torch.relu(x)", "torch.tanh(x)"))
    a, b = prepare("nets_a:Net", digits), prepare("nets_b:Net", digits)
    assert a.weights == b.weights  # the same seed draws them
    assert a.sha256 != b.sha256


REBUILD = """
import pickle, sys
from pathlib import Path
import torch
from mollitune.search.data.images import Images
from mollitune.search.metrics.extractors.extractor import prepare_extractor

extractors, pixels = pickle.loads(Path(sys.argv[1]).read_bytes())
train = Images("digits", pixels)
again = prepare_extractor("users_nets:Net", None, train, Path("unused"))
features = [e.build(torch.device("cpu"))(torch.from_numpy(pixels)).numpy() for e in extractors]
Path(sys.argv[1]).write_bytes(pickle.dumps((features, again.sha256)))
"""


@pytest.mark.slow
def test_another_process_rebuilds_it(
    names: dict[str, str], digits: Splits, tmp_path: Path, folder: Path
) -> None:
    prepared = {form: prepare(name, digits) for form, name in names.items()}
    pixels = digits.test.pixels[:6]
    file = tmp_path / "job.pickle"
    file.write_bytes(pickle.dumps((list(prepared.values()), pixels)))
    torch.manual_seed(123)  # nothing of this process's state is needed
    subprocess.run(
        [sys.executable, "-W", "error", "-c", REBUILD, str(file)],
        check=True,
        env={"PYTHONPATH": str(folder), "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"},
    )
    features, sha256 = pickle.loads(file.read_bytes())
    for there, extractor in zip(features, prepared.values(), strict=True):
        here = extractor.build(CPU)(torch.from_numpy(pixels)).numpy()
        np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-6)
    assert sha256 == prepared["class"].sha256  # so values of two sessions are comparable


def test_a_worker_with_another_version_of_the_class_refuses(digits: Splits) -> None:
    extractor = prepare("users_nets:Net", digits)
    other = Extractor(extractor.name, extractor.weights, 8, extractor.resize, "class Net: ...")
    with pytest.raises(MollituneError, match="users_nets:Net differs between machines"):
        other.build(CPU)


def test_a_file_with_something_else_is_refused(
    names: dict[str, str], network: nn.Module, digits: Splits, tmp_path: Path
) -> None:
    path = tmp_path / "net.pt"
    torch.save(network.state_dict(), path)
    script, export = (
        Path(names[form].removeprefix("file:")).read_bytes() for form in ("script", "export")
    )
    none = r"net\.pt holds no compiled network"
    contents = {
        b"no zip": f"{none}; expected a file of torch.export.save or",
        b"": none,
        path.read_bytes(): none,  # a state dict
        script[: len(script) // 2]: r"net\.pt",
        export[: len(export) // 2]: r"net\.pt",
    }
    for data, message in contents.items():
        path.write_bytes(data)
        with pytest.raises(MollituneError, match=message) as caught:
            prepare(f"file:{path}", digits)
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(MollituneError, match=r"cannot read .*net\.pt \(No such file"):
        prepare(f"file:{path}", digits)


def test_a_fixed_batch_is_refused(network: nn.Module, digits: Splits, tmp_path: Path) -> None:
    path = save_export(network, tmp_path / "fixed.pt2", dynamic=False)
    with pytest.raises(MollituneError, match=r"fails on 2 images \(2, 1, 8, 8\).*dynamic"):
        prepare(f"file:{path}", digits)


def test_a_class_that_cannot_be_built_is_named(digits: Splits) -> None:
    cases = {
        "no_such_module:Net": "cannot import no_such_module .*PYTHONPATH",
        "users_nets:Nett": "users_nets has no class Nett",
        "users_nets:torch": "users_nets has no class torch",
        "users_nets:Hungry": r"Hungry\(\) fails: TypeError: .*built without arguments",
        "users_nets:Plain": r"users_nets:Plain is no torch\.nn\.Module",
    }
    for name, message in cases.items():
        with pytest.raises(MollituneError, match=message) as caught:
            prepare(name, digits)
        assert "\n" not in str(caught.value)


def test_what_is_no_feature_extractor_is_refused(digits: Splits) -> None:
    cases: dict[str, Callable[[Tensor], Any]] = {
        r"returns \(3, 1, 8, 8\) for 3 images": lambda x: x.double(),
        "returns tuple for 3 images": lambda x: (x.double().mean((2, 3)),),
        r"returns \(1, 1\)": lambda x: x.double().mean((0, 2, 3))[None],
        "torch.uint8 features that are not all finite floats": lambda x: x.flatten(1),
        "float32 features that are not all finite": lambda x: x.flatten(1) / torch.zeros(1),
        "features in another batch; call eval": lambda x: x.flatten(1).float() - x.float().mean(),
    }
    pixels = torch.from_numpy(digits.train.pixels[:3])
    for message, extract in cases.items():
        with pytest.raises(MollituneError, match=rf"fid\.extractor: mine .*{message}"):
            check_features("mine", extract, pixels)


def test_an_exported_network_follows_to_another_device(names: dict[str, str]) -> None:
    path = Path(names["export"].removeprefix("file:"))
    extractor = FileExtractor("file:net.pt2", ["features"], str(path)).eval()
    pixels = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    there = extractor.to("meta")(pixels.to("meta"))[0]  # the one other device of every machine
    assert (there.device.type, there.shape) == ("meta", (3, 8))
    with pytest.raises(RuntimeError):  # exported graphs check the device of their input
        extractor(pixels)
