"""Trains a model at production budget under one schedule, in one process and without Ray."""

from __future__ import annotations

import copy
import importlib.metadata
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._threads import threads, worthwhile
from mollitune.search.data.decoding import picture
from mollitune.search.data.images import points
from mollitune.search.metrics.fid import Measurement
from mollitune.search.store.evaluation import Evaluation
from mollitune.search.store.lease import Lease
from mollitune.search.store.retry import Retry, wait_seconds
from mollitune.search.terminal import Pace, TrainView, asked_to_stop
from mollitune.search.training.checkpoints import Checkpoints, restore
from mollitune.search.training.trial import TrainingDivergedError, Trial

from .folder import AVERAGE, COLUMNS, WEIGHTS, TrainFolder
from .settings import ScheduleSource, TrainSettings
from .setup import TrainSetup, check_unchanged, pick_device, prepare_setup, refuse_other

_NUMBER = 0  # of the one trial, in the names of its checkpoints


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Arguments:
        folder: Its folder, a path or URI.
        status: ``finished``, or ``interrupted`` by SIGINT or SIGTERM.
        step: Training steps done.
        result: What was measured at the end, as in ``train.json``; None if interrupted.
        before: Whether it was finished already, so that nothing was done.
    """

    folder: str
    status: str
    step: int
    result: Mapping[str, Any] | None = None
    before: bool = False


class _Interrupted(Exception):  # noqa: N818 - no error: the user asked for it
    """SIGINT or SIGTERM came."""


def train(
    source: ScheduleSource,
    settings: TrainSettings,
    location: str,
    console: Console,
    *,
    weights: str | None = None,
    checkpoint_seconds: float = 60.0,
    device: str | None = None,
    compiled: bool = False,
) -> Trained:
    """Train to the end, or to the first SIGINT or SIGTERM, from the newest checkpoint if any.

    Args:
        source: The schedule and where it comes from.
        settings: Everything else that determines the training.
        location: Its folder, a path or URI.
        console: Where progress goes.
        weights: Weights file of the extractor ``inception-v3-compat``.
        checkpoint_seconds: Least time between two checkpoints.
        device: A name of torch's; None: a GPU if there is one.
        compiled: Whether `torch.compile` makes one piece of code of the training step.

    Returns:
        How it ended.

    Raises:
        MollituneError: If the folder holds something else or another training, data, model,
            extractor or device cannot be used, the training diverges, or a write fails. Nothing
            is left behind unless the training has begun.
    """
    retry = Retry(wait_seconds(), lambda text: _say(console, text))
    folder = TrainFolder(location, retry)
    where = pick_device(device)
    fixed = {**settings.model_dump(), "device": where.type}
    before = folder.description()
    if before is not None:
        refuse_other(before, {**fixed, "schedule": source.schedule.to_dict()}, location)
        if before["status"] == "finished":
            return Trained(location, "finished", settings.steps, before["result"], before=True)
    setup = prepare_setup(settings, weights, where, console, compiled=compiled)
    check_unchanged(before, setup, source, location, console)
    run = _Run(source, settings, folder, setup, checkpoint_seconds, fixed, before)
    with Lease(location), asked_to_stop() as asked, threads(run.threads):
        retry.interrupted = asked.is_set
        return run(asked, console)


class _Run:
    """One training in its folder."""

    def __init__(
        self,
        source: ScheduleSource,
        settings: TrainSettings,
        folder: TrainFolder,
        setup: TrainSetup,
        checkpoint_seconds: float,
        fixed: Mapping[str, Any],
        before: Mapping[str, Any] | None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._folder = folder
        self._setup = setup
        self._every = checkpoint_seconds
        self._fixed = fixed
        self._before = before
        self._alive: Callable[[], None] = lambda: None
        self._trial = _build(source, settings, setup, lambda: self._alive())
        # as before, so that the numbers are those of a training that was not interrupted
        self.threads: int = (before or {}).get("threads") or _worthwhile(self._trial)
        self._checkpoints = Checkpoints(folder.location, _NUMBER, Retry(wait_seconds()))
        self._rows: list[dict[str, Any]] = []
        self._spent = 0.0  # seconds, before the training was resumed
        self._pace = Pace(settings.steps)
        self._saved = time.monotonic()

    def __call__(self, asked: threading.Event, console: Console) -> Trained:
        """Train to the end or until it is asked to stop."""
        if self._before:
            self._restore(console)
        self._describe("running")
        if self._before is None:
            self._folder.write("samples/real.png", picture(self._setup.splits.test.pixels))
        try:
            with TrainView(
                self._title(), self._pace, console, self._source.schedule.until
            ) as view:
                self._alive = self._watch(view, asked)
                for evaluation in self._trial.run():
                    self._record(evaluation)
                    view.evaluated(evaluation)
                self._save()
                result = self._finish()
        except _Interrupted:
            self._save()
            self._describe("interrupted")
            return Trained(self._folder.location, "interrupted", self._trial.step)
        except TrainingDivergedError as error:
            self._describe("failed", failure=str(error))
            raise MollituneError(f"the training diverged: {error}") from None
        self._describe("finished", result=result)
        return Trained(self._folder.location, "finished", self._trial.step, result)

    def _watch(self, view: TrainView, asked: threading.Event) -> Callable[[], None]:
        """Return what the trial calls before every step and every batch of an evaluation."""

        def alive() -> None:
            if asked.is_set():
                raise _Interrupted
            view.at(self._trial.step)
            if time.monotonic() - self._saved >= self._every:
                self._save()

        return alive

    def _restore(self, console: Console) -> None:
        """Go back to the newest good checkpoint, and to what had been measured by then."""
        state = restore(self._trial, self._checkpoints.load(self._setup.device))
        if state is None:
            _say(console, "no readable checkpoint: training starts from the beginning")
            return
        self._rows, self._spent = state["rows"], state["spent"]
        self._pace = Pace(self._settings.steps, self._trial.step)
        _say(console, f"going on from step {self._trial.step:,}")

    def _save(self) -> None:
        state = {**self._trial.state_dict(), "rows": self._rows, "spent": self._elapsed}
        self._checkpoints.save(state, self._folder.retry)
        self._saved = time.monotonic()

    @property
    def _elapsed(self) -> float:
        return self._spent + self._pace.elapsed

    def _record(self, evaluation: Evaluation) -> None:
        found = {**evaluation.row(), "fid_reference": "validation"}
        self._add(found)
        name = f"{evaluation.step:0{len(str(self._settings.steps))}d}"
        self._folder.write(f"samples/{name}.png", picture(evaluation.samples))
        if evaluation.failure:
            raise TrainingDivergedError(evaluation.failure)

    def _finish(self) -> dict[str, Any]:
        """Write the weights and measure them against the test images."""
        trial, start = self._trial, time.perf_counter()
        measured, bpd = trial.judge(self._setup.splits.test, self._setup.test)
        self._folder.write_weights(WEIGHTS, trial.model.state_dict())
        if trial.averaged is not None:
            self._folder.write_weights(AVERAGE, trial.averaged.state_dict())
        self._add(
            {
                **self._rows[-1],
                "fid": measured.fid,
                "bpd": bpd,
                "nll": trial.nats(bpd),
                "fid_reference": "test",
                "non_finite_samples": trial.lost_samples + measured.non_finite,
                "eval_seconds": time.perf_counter() - start,
            }
        )
        return self._result(measured, bpd)

    def _add(self, found: Mapping[str, Any]) -> None:
        row = {**found, "fid_samples": self._settings.fid_samples}
        self._rows.append({name: row[name] for name in COLUMNS})
        self._folder.write_rows(self._rows)

    def _result(self, measured: Measurement, bpd: float) -> dict[str, Any]:
        return {
            "step": self._trial.step,
            "fid": _finite(measured.fid),
            "fid_reference": "test",
            "fid_reference_size": self._setup.test.count,
            "fid_samples": self._settings.fid_samples,
            "bpd": _finite(bpd),
            "nll": _finite(self._trial.nats(bpd)),
            "weights": self._settings.keep if self._trial.averaged is None else "ema",
        }

    def _title(self) -> str:
        settings, schedule = self._settings, self._source.schedule
        count = sum(p.numel() for p in self._trial.model.parameters())
        mollified = round(schedule.until * settings.steps)
        return (
            f"{settings.model} ({count:,} parameters) on {self._setup.device}, {schedule}: "
            f"mollified for {mollified:,} of {settings.steps:,} steps"
        )

    def _describe(self, status: str, **more: Any) -> None:
        splits = self._setup.splits
        extractor = self._setup.test.extractor
        self._folder.describe(
            {
                "status": status,
                "settings": dict(self._fixed),
                "schedule": self._source.schedule.to_dict(),
                "schedule_file": dict(self._source.document),
                "dataset": {
                    "name": self._settings.dataset,
                    "sha256": splits.train.sha256,
                    "shape": list(splits.shape),
                    **splits.counts(),
                },
                "extractor": {
                    "name": extractor.name,
                    "sha256": extractor.sha256,
                    "resize": extractor.resize,
                },
                "versions": _versions(),
                "threads": self.threads,
                "machine": f"{platform.system()} {platform.machine()}, "
                f"{_name(self._setup.device)}",
                "seconds": self._elapsed,
                "result": None,
                **more,
            }
        )


def _build(
    source: ScheduleSource, settings: TrainSettings, setup: TrainSetup, alive: Callable[[], None]
) -> Trial:
    try:
        return Trial(
            settings.spec(source.schedule),
            setup.splits,
            setup.validation,
            settings.fid_samples,
            setup.device,
            alive=alive,
            compiled=setup.compiled,
        )
    except (ValueError, TypeError) as error:
        raise MollituneError(f"model {settings.model}: {error}") from None


def _worthwhile(trial: Trial) -> int:
    """Return how many threads its training steps are worth; a model of its size is tried."""
    if trial.device.type != "cpu":
        return torch.get_num_threads()
    model = copy.deepcopy(trial.model)
    with torch.random.fork_rng(devices=[]):
        x = points(trial.images[: trial.spec.training.batch_size])
        return worthwhile(lambda: model.loss(x).backward())


def _versions() -> dict[str, str]:
    packages = ("mollitune", "torch", "torch-fidelity")
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} CPUs"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
