"""Metrics and features of a user's own are one file; all that a search leaves behind has them."""

import math
import struct
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tests.search.launch.conftest import TINY, Place

from mollitune.analysis import Results, leaderboard

pytestmark = pytest.mark.slow
TOY = '''
"""The toy metric: this file is all there is of it."""

from mollitune.search.metrics.extras import Extra, extra_metric


class Spread(Extra):
    columns = (extra_metric("spread", "mean spread of the features", better="higher"),)

    def measure(self, sides):
        print("a metric speaks")
        return {"extra.spread": sides.generated.std(0).mean()}


def gap(generated, real):
    """distance of the mean features"""
    return (generated.mean(0) - real.mean(0)).norm()
'''
CONFIG = {
    **TINY,
    **{"name": "toy", "families": ["linear"], "steps": 20, "trials": 3},
    "stopping": {"policy": "none"},
    "fid": {
        **{"extractor": "file:pooled.pt", "samples": 120, "every": 0.5},
        "extra": ["toy_metric:Spread", "kid", "prc", "fid_infinity", "toy_metric:gap"],
    },
    "objective": "spread",
    "constraint": {"kid": "<= 1000"},
    "loggers": ["tensorboard"],
    "resources": {"stack": 2, "show_output": True},
}


class Pooled(torch.nn.Module):
    """Sixteen features of a gray image: means of patches."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 4).flatten(1)


def records(path: Path) -> Iterator[bytes]:
    """The records of a file of events, by TensorFlow's format: length, data, both with a CRC."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        (length,) = struct.unpack("<Q", data[at : at + 8])
        record = data[at + 12 : at + 12 + length]
        for part, place in ((data[at : at + 8], at + 8), (record, at + 12 + length)):
            (checksum,) = struct.unpack("<I", data[place : place + 4])
            crc = crc32c(part)
            assert checksum == (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
        yield record
        at += length + 16


def events(folder: Path) -> list[Any]:
    return [Event.FromString(r) for path in sorted(folder.iterdir()) for r in records(path)]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = defaultdict(list)
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found[value.tag].append((event.step, value.simple_value))
    return found


def hyperparameters(folder: Path) -> dict[str, Any]:
    for event in events(folder):
        for value in event.summary.value:
            if value.tag == "_hparams_/session_start_info":
                content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
                chosen = content.session_start_info.hparams
                return {n: v.string_value or v.number_value for n, v in chosen.items()}
    raise AssertionError("no hyperparameters")


@pytest.fixture(scope="module")
def results(place: Place) -> Results:
    with warnings.catch_warnings():  # of TorchScript, which is still about
        warnings.simplefilter("ignore")
        torch.jit.script(Pooled()).save(str(place.folder / "pooled.pt"))
    (place.folder / "toy_metric.py").write_text(TOY)
    done = place.run("search", place.config(CONFIG))
    assert "(resize: its own)" in done.stdout
    # behind the name of its process, whatever colour that has
    told = [line for line in done.stdout.splitlines() if line.endswith(" a metric speaks")]
    assert any("(RunsTrainable pid=" in line for line in told)
    return place.results("toy")


def test_what_is_in_one_file_arrives_everywhere(place: Place, results: Results) -> None:
    reports = results.reports
    metrics = reports[["kid", "precision", "recall", "fid_infinity", "extra.spread", "extra.gap"]]
    assert len(metrics) == 12
    assert not metrics.isna().any(axis=None)
    assert (metrics["extra.spread"] > 0).all()
    shares = metrics[["precision", "recall"]].to_numpy()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert set(reports["extractor_resize"]) == {"its own"}
    assert reports["extractor"].str.contains("pooled.pt").all()
    field = results.tables["reports"].schema.field("extra.spread")
    assert field.metadata[b"description"] == b"mean spread of the features; higher is better"
    assert results.sql('select max("extra.gap") as x from reports')["x"].item() > 0
    page = place.folder / "results" / "toy" / "report.html"
    assert "vanilla" in page.read_text(encoding="utf-8")


def test_it_can_be_what_is_optimised(place: Place, results: Results) -> None:
    finals = results.reports[results.reports["comparable"]]
    board = leaderboard(results)
    assert board["negative_spread_expected"].iloc[0] == -finals["extra.spread"].max()
    assert board["allowed"].all()
    said = place.run("best", "toy").stdout
    assert "expected -spread" in said.replace("\n", " ")
    assert "; 3 of 3 configurations keep KID <= 1000;" in " ".join(said.split())


def test_tensorboard_has_each_trial_of_a_search(place: Place, results: Results) -> None:
    folder = place.folder / "results" / "toy" / "tensorboard"
    assert {path.name for path in folder.iterdir()} == {"0000", "0001", "0002"}
    for number, rows in results.reports.groupby("trial"):
        found = scalars(folder / f"{number:04d}")
        assert {"fid", "bpd", "train_loss", "level", "step_seconds"} <= set(found)
        assert "probe_fid" not in found  # nobody asked for it
        for name in ("fid", "bpd", "train_loss", "level", "kid", "extra.spread", "extra.gap"):
            steps, values = zip(*found[name], strict=True)
            assert steps == (10, 18, 19, 20) == tuple(rows["step"])
            assert values == pytest.approx(rows[name].tolist(), rel=1e-6)
        chosen = hyperparameters(folder / f"{number:04d}")
        family, until = rows["family"].iloc[0], rows["params.until"].iloc[0]
        assert (chosen["model"], chosen["family"]) == ("vae", family)
        assert math.isnan(until) or chosen["until"] == until
