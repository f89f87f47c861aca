"""Copies for other tools: TensorBoard's from a real search, the rest as far as it goes here."""

import importlib.util
import io
import math
import os
import struct
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.tune import Callback
from rich.console import Console
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from mollitune._errors import MollituneError
from mollitune.analysis import load_results
from mollitune.search.config import SearchConfig
from mollitune.search.tune.loggers import PACKAGES, Tolerant, check_loggers, logger_callbacks

CONFIG = {
    "name": "logged",
    "model": "vae",
    "families": ["linear"],
    "steps": 6,
    "trials": 2,
    "workers": 1,
    "stopping": {"policy": "none"},
    "fid": {"samples": 50, "every": 0.3334, "budget": None},
    "loggers": ["tensorboard"],
}


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


def test_tensorboard_has_each_trial_of_a_search(lenet: object, tmp_path: Path) -> None:
    (tmp_path / "logged.yaml").write_text(yaml.safe_dump(CONFIG))
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as short:
        done = subprocess.run(
            [sys.executable, "-m", "mollitune.search.cli", "search", "logged.yaml"],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), "TMPDIR": short},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results" / "logged"
    reports = load_results(folder).reports
    assert {path.name for path in (folder / "tensorboard").iterdir()} == {"0000", "0001"}
    for number, rows in reports.groupby("trial"):
        trial = folder / "tensorboard" / f"{number:04d}"
        found = scalars(trial)
        assert {"fid", "bpd", "train_loss", "level", "step_seconds"} <= set(found)
        assert "kid" not in found  # nobody asked for it
        for name in ("fid", "bpd", "train_loss", "level"):
            steps, values = zip(*found[name], strict=True)
            assert steps == (2, 4, 6) == tuple(rows["step"])
            assert values == pytest.approx(rows[name].tolist(), rel=1e-6)
        chosen = hyperparameters(trial)
        family, until = rows["family"].iloc[0], rows["params.until"].iloc[0]
        assert (chosen["model"], chosen["family"]) == ("vae", family)
        assert math.isnan(until) or chosen["until"] == until


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_named_before_anything_starts(name: Any) -> None:
    if importlib.util.find_spec(PACKAGES[name]) is not None:
        pytest.skip(f"{name} is installed")
    with pytest.raises(MollituneError, match=rf"loggers: {name} needs .*; pip install {name}, or"):
        check_loggers([name], "results/x")


def test_a_folder_of_the_packages_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("wandb") is not None:
        pytest.skip("wandb is installed")
    (tmp_path / "wandb").mkdir()  # as W&B itself makes one
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MollituneError, match="pip install wandb"):
        check_loggers(["wandb"], "results/x")


def test_tensorboard_needs_a_local_folder() -> None:
    check_loggers(["tensorboard"], "results/x")
    with pytest.raises(MollituneError, match="a local folder only, not to s3://bucket/x; leave"):
        check_loggers(["tensorboard"], "s3://bucket/x")


class Failing(Callback):  # type: ignore[misc]
    """A logger whose server has gone; it counts what it is handed."""

    def __init__(self, fails: str) -> None:
        self.fails = fails
        self.seen: list[str] = []

    def _note(self, event: str) -> None:
        self.seen.append(event)
        if event == self.fails:
            raise ConnectionError("no route\nto host")

    def setup(self, *args: Any, **info: Any) -> None:
        self._note("setup")

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._note("start")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self._note("result")

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        self._note("complete")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._note("error")

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        self._note("end")


EVENTS = ["setup", "start", "result", "complete", "error", "end"]


@pytest.mark.parametrize("fails", [*EVENTS, "never"])
def test_a_logger_that_fails_is_switched_off_and_named(fails: str) -> None:
    logger, said = Failing(fails), list[str]()
    tolerant = Tolerant(logger, "mlflow", said.append)
    tolerant.setup()
    tolerant.on_trial_start(1, [], None)
    tolerant.on_trial_result(1, [], None, {})
    tolerant.on_trial_complete(2, [], None)
    tolerant.on_trial_error(3, [], None)
    tolerant.on_experiment_end([])
    if fails == "never":
        assert (logger.seen, said) == (EVENTS, [])
        return
    assert logger.seen == EVENTS[: EVENTS.index(fails) + 1]
    assert said == [
        "warning: the logger mlflow fails (ConnectionError: no route) and gets no more of this "
        "search; the tables have it all"
    ]


def test_no_logger_is_the_default(tmp_path: Path) -> None:
    plain = SearchConfig.model_validate({k: v for k, v in CONFIG.items() if k != "loggers"})
    assert plain.loggers == []
    assert logger_callbacks(plain, str(tmp_path), Console(file=io.StringIO())) == []
    stored = plain.to_dict()
    del stored["loggers"]  # as searches of before have it
    assert SearchConfig.model_validate(stored).loggers == []
