"""Files of weights and networks: loading one runs nothing, and a bad one is refused or skipped."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.hostile.conftest import SENTINEL, Payload, Refused, payload
from torch import Tensor, nn

from mollitune._errors import MollituneError
from mollitune.search.metrics.extractors.network_file import open_network
from mollitune.search.training.checkpoints import Checkpoints

STATE = {"step": 3, "model": {"weight": torch.zeros(2)}}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(64, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.float().flatten(1) @ self.weight


def saved(content: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def exported() -> bytes:
    buffer = io.BytesIO()
    pixels = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    torch.export.save(torch.export.export(Net().eval(), (pixels,)), buffer)
    return buffer.getvalue()


def changed(archive: bytes, *entries: tuple[str, bytes]) -> bytes:
    """The archive with entries replaced or added."""
    old, buffer = zipfile.ZipFile(io.BytesIO(archive)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            if name not in dict(entries):
                new.writestr(name, old.read(name))
        for name, data in entries:
            new.writestr(name, data)
    return buffer.getvalue()


WEIGHTS = "archive/data/weights/model_weights_config.json"
CONSTANTS = "archive/data/constants/model_constants_config.json"
CONSTANT = b'{"config": {"c": {"path_name": "%s_0", "is_param": false, "use_pickle": true}}}'


def entry(name: str, data: bytes, *more: tuple[str, bytes]) -> Callable[[bytes], bytes]:
    """A change that replaces or adds entries."""
    return lambda archive: changed(archive, (f"archive/{name}", data), *more)


def _constant(kind: str) -> Callable[[bytes], bytes]:
    named = (CONSTANTS, CONSTANT % kind.encode())
    return entry(f"data/constants/{kind}_0", payload(), named)


NETWORKS: dict[str, Callable[[bytes], bytes]] = {
    **{"empty": lambda _: b"", "text": lambda _: b"weights", "a pickle": lambda _: payload()},
    "weights alone": lambda _: saved(STATE),
    "a payload in a checkpoint": lambda _: saved(Payload()),
    "a payload in an old checkpoint": lambda _: saved(Payload(), zipped=False),
    **{"cut after 100": lambda data: data[:100], "cut by one": lambda data: data[:-1]},
    "a payload in the weights": lambda data: changed(
        data,
        (WEIGHTS, zipfile.ZipFile(io.BytesIO(data)).read(WEIGHTS).replace(b"false", b"true")),
        ("archive/data/weights/weight_0", saved(Payload())),
    ),
    "a payload in the old weights": entry("data/weights/model.pt", saved(Payload())),
    "a payload in the inputs": entry("data/sample_inputs/model.pt", saved(Payload())),
    "a bare payload in the inputs": entry("data/sample_inputs/model.pt", payload()),
    **{f"a payload as {kind}": _constant(kind) for kind in ("opaque_obj", "custom_obj", "tensor")},
    "machine code": entry("data/aotinductor/model/x.so", b"\x7fELF"),
    "a payload in a script": lambda _: changed(
        saved(STATE), ("archive/constants.pkl", payload()), ("archive/version", b"3\n")
    ),
    **{"no program": entry("models/model.json", b"{}")},
    **{"a broken program": entry("models/model.json", b"{")},
}


def test_the_network_itself_loads(exported: bytes) -> None:
    assert open_network("net", exported)(torch.ones(3, 1, 8, 8, dtype=torch.uint8)).shape == (3, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_networks_are_refused(work: Path, exported: bytes) -> None:
    for case, change in NETWORKS.items():
        with pytest.raises(MollituneError) as caught:
            open_network("net.pt2", change(exported))
        assert len(str(caught.value).splitlines()) == 1, case
        assert not (work / SENTINEL).exists(), case


def test_the_command_refuses_a_network(refused: Refused, work: Path, exported: bytes) -> None:
    (work / "net.pt2").write_bytes(NETWORKS["a payload in the weights"](exported))
    assert "net.pt2" in refused("search", "config.yaml", "fid.extractor=file:net.pt2")


CHECKPOINTS: dict[str, bytes] = {
    "empty": b"",
    "text": b"step: 3",
    "a pickle": payload(),
    "a payload": saved({"step": 9, "model": Payload()}),
    "an old payload": saved({"step": 9, "model": Payload()}, zipped=False),
    "a module": saved({"step": 9, "model": Net()}),
    **{f"cut by {n}": saved({**STATE, "step": 9})[:-n] for n in (1, 30, 500)},
    "cut to a half": saved({**STATE, "step": 9})[:700],
    "a list": saved([9]),
    "no step": saved({"model": {}}),
    "a step of text": saved({"step": "9"}),
}


def test_a_bad_checkpoint_gives_way_to_the_one_before(work: Path) -> None:
    written = Checkpoints(str(work), 7)
    written.save(STATE)
    written.save({**STATE, "step": 9})
    for case, data in CHECKPOINTS.items():
        (work / "checkpoints" / "0007-1.pt").write_bytes(data)
        states = Checkpoints(str(work), 7).load(torch.device("cpu"))
        assert [state["step"] for state in states] == [3], case
        assert not (work / SENTINEL).exists(), case


def test_the_command_refuses_weights(refused: Refused, work: Path) -> None:
    override = "fid={extractor: inception-v3-compat, weights: w.pth}"
    for case in ("a payload", "an old payload", "a module", "cut by 30", "a list"):
        (work / "w.pth").write_bytes(CHECKPOINTS[case])
        assert "fid.weights: w.pth " in refused("search", "config.yaml", override), case
