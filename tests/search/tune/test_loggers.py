"""Copies for other tools as far as they go here; TensorBoard from a search: test_own_metric."""

import importlib.util
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.logger import LoggerCallback
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune.search.config import SearchConfig
from mollitune.search.tune.loggers import PACKAGES, RayLogger, Tolerant, check_loggers, run_loggers


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
    plain = SearchConfig.model_validate({"name": "plain", "model": "vae"})
    assert plain.loggers == []
    assert run_loggers(plain, str(tmp_path), Console(file=io.StringIO())) == []
    stored = plain.to_dict()
    del stored["loggers"]  # as searches of before have it
    assert SearchConfig.model_validate(stored).loggers == []
