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
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ray.tune.logger import LoggerCallback
from rich.console import Console
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from mollitune._errors import MollituneError
from mollitune.analysis import load_results
from mollitune.search.config import SearchConfig
from mollitune.search.tune.loggers import PACKAGES, RayLogger, Tolerant, check_loggers, run_loggers

CONFIG = {
    "name": "logged",
    "model": "vae",
    "families": ["linear"],
    "steps": 6,
    "trials": 2,
    "workers": 1,
    "stopping": {"policy": "none"},
    "fid": {"samples": 50, "every": 0.3334},
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


@pytest.mark.slow
def test_tensorboard_has_each_trial_of_a_search(lenet: object, tmp_path: Path) -> None:
    config = {**CONFIG, "resources": {"stack": 2}}
    (tmp_path / "logged.yaml").write_text(yaml.safe_dump(config))
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


class Failing:
    """A logger whose server has gone; it counts what it is told."""

    def __init__(self, fails: str) -> None:
        self.fails = fails
        self.seen: list[str] = []
        self._note("connect")

    def _note(self, event: str) -> None:
        self.seen.append(event)
        if event == self.fails:
            raise ConnectionError("no route\nto host")

    def started(self, config: Any, carrier: Any) -> None:
        self._note("start")

    def reported(self, config: Any, result: Any) -> None:
        self._note("result")

    def ended(self, config: Any, failed: bool) -> None:
        self._note("failed" if failed else "end")

    def close(self) -> None:
        self._note("close")


@pytest.mark.parametrize(
    "fails", ["connect", "start", "result", "end", "failed", "close", "never"]
)
def test_a_logger_that_fails_is_switched_off_and_named(fails: str) -> None:
    made, said = list[Failing](), list[str]()

    def make() -> Failing:
        if fails != "connect":
            made.append(Failing(fails))
            return made[0]
        return Failing(fails)

    tolerant = Tolerant(make, "mlflow", said.append)
    tolerant.started({}, None)
    tolerant.reported({}, {})
    tolerant.ended({}, False)
    tolerant.ended({}, True)
    tolerant.close()
    told = ["connect", "start", "result", "end", "failed", "close"]
    if fails != "connect":
        assert made[0].seen == (told if fails == "never" else told[: told.index(fails) + 1])
    if fails == "never":
        assert said == []
        return
    assert said == [
        "warning: the logger mlflow fails (ConnectionError: no route) and gets no more of this "
        "search; the tables have it all"
    ]


class Told(LoggerCallback):  # type: ignore[misc]
    """One of Ray's loggers."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def setup(self, *_: Any, **__: Any) -> None:
        self.seen.append(("setup",))

    def log_trial_start(self, trial: Any) -> None:
        self.seen.append(("start", trial.trial_id, trial.config, trial.storage))

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        self.seen.append(("result", trial.trial_id, result["fid"], result["timesteps_total"]))

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        self.seen.append(("end", trial.trial_id, failed))


def test_rays_loggers_see_a_trial_for_each_run_of_a_process() -> None:
    told, carrier = Told(), SimpleNamespace(storage=None)
    logger = RayLogger(told)
    runs: list[dict[str, Any]] = [{"trial": 3, "seed": 0}, {"trial": 4, "seed": 1}]
    for run in runs:
        logger.started(run, carrier)
    logger.reported(runs[1], {"fid": 9.0, "step": 40})
    logger.ended(runs[0], True)
    logger.ended(runs[1], False)
    logger.close()
    assert told.seen == [
        ("setup",),
        ("start", "0003", runs[0], None),
        ("start", "0004", runs[1], None),
        ("result", "0004", 9.0, 40),
        ("end", "0003", True),
        ("end", "0004", False),
    ]


def test_no_logger_is_the_default(tmp_path: Path) -> None:
    plain = SearchConfig.model_validate({k: v for k, v in CONFIG.items() if k != "loggers"})
    assert plain.loggers == []
    assert run_loggers(plain, str(tmp_path), Console(file=io.StringIO())) == []
    stored = plain.to_dict()
    del stored["loggers"]  # as searches of before have it
    assert SearchConfig.model_validate(stored).loggers == []
