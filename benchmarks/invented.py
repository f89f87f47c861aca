"""A search whose trainings are invented and everything else is the real thing."""

from __future__ import annotations

import io
import math
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from rich.console import Console

from mollitune.schedules import families
from mollitune.search.config import SearchConfig
from mollitune.search.data.images import split
from mollitune.search.data.sources import load_images
from mollitune.search.launch.proposals import proposer
from mollitune.search.launch.search import run_search
from mollitune.search.metrics.extractors.extractor import cache_folder, prepare_extractor
from mollitune.search.metrics.reference import Reference
from mollitune.search.policy.comparability import Comparability
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.source import SpaceSource
from mollitune.search.policy.space import FamilySpace, parameter_types
from mollitune.search.store.evaluation import Evaluation
from mollitune.search.store.journal import END, REPORT, START, Journal
from mollitune.search.store.writer import Store, create_search_folder
from mollitune.search.terminal import ProgressView
from mollitune.search.tune import driver as search_driver
from mollitune.search.tune import session
from mollitune.search.tune.budget import Plan
from mollitune.search.tune.cluster import start_ray
from mollitune.search.tune.context import Context
from mollitune.search.tune.driver import StopAll
from mollitune.search.tune.environment import ray_environment
from mollitune.search.tune.fold import Fold
from mollitune.search.tune.placement import Waiting
from mollitune.search.tune.recorder import Recorder
from mollitune.search.tune.runs import OpenRun, end_of
from mollitune.search.tune.scheduler import PolicyScheduler
from mollitune.search.tune.searcher import ScheduleSearcher
from mollitune.search.tune.session import Outcome, stopping_of
from mollitune.search.tune.watchdog import Watchdog

# after what the search sets for Ray, which reads it when it is imported
import ray  # isort: skip
from ray import tune  # isort: skip
from ray.tune.experiment import Trial  # isort: skip

SIDE = 8  # of digits
STEPS = 1_000_000
STEP_SECONDS = 1e-3  # of trainings that sleep
_NO_PICTURE = np.empty(0, dtype=np.uint8)


class Driver:
    """The driver's own objects, put together as the launcher does, without Ray.

    Arguments:
        root: Folder of results.
        trials: Trials of the search.
        reports: Evaluations of each.
        sampler: ``random``, ``shape`` ...
        policy: The stopping policy.
    """

    def __init__(
        self, root: Path, trials: int, reports: int, sampler: str = "random", policy: str = "none"
    ) -> None:
        self.reports = reports
        self.config = SearchConfig.model_validate(
            {
                "name": "large",
                "model": ["vae"],
                "trials": trials,
                "steps": STEPS,
                "sampler": sampler,
                "stopping": {"policy": policy},
                "results": str(root),
            }
        )
        self.folder = root / "large"
        if not self.folder.exists():
            create_search_folder(str(root), "large")
        self._rng = random.Random(0)
        self.open()

    def open(self) -> None:
        """Open record and tables, and begin with a policy that knows nothing."""
        splits = split(load_images("digits"))
        extractor = prepare_extractor("lenet", None, splits.train, cache_folder())
        reference = Reference.measure(extractor, splits.validation, "validation", cache_folder())
        plans = {"vae": Plan(1 / self.reports, 500)}
        self.context = Context(self.config, splits, reference, str(self.folder), plans)
        self.journal, self.stop = Journal.open(str(self.folder)), StopAll()
        kinds = parameter_types(f.family for f in self.config.families)
        self.store = Store.open(str(self.folder), kinds)
        self.parts = Fold(
            ScheduleSearcher(proposer(self.config, SIDE), self.config.trials),
            PolicyScheduler(stopping_of(self.config), {"vae": Comparability("vae", 0.0)}),
            Recorder(self.store, self.context, self.stop.fail),
            ProgressView(self.config.trials, Console(file=io.StringIO())),
        )
        watchdog = Watchdog(str(self.folder), None)
        self.driver = search_driver.Driver(
            *(str(self.folder), self.journal, self.parts, watchdog, Waiting({}, print), self.stop)
        )

    def run(self, number: int) -> None:
        """Hand out, report and end one trial, as Ray's event loop would."""
        config = self.driver.take()
        assert config is not None
        trial: Any = Trial("invented", config={"trials": [config]}, stub=True)
        self.driver.on_trial_start(0, [], trial)
        with mock.patch.object(search_driver, "beacon"):  # there is no Ray to keep anything
            for evaluation in range(1, self.reports + 1):
                found = result(self._rng, evaluation / self.reports)
                own = {**found, "trial": number, "done": evaluation == self.reports}
                self.driver.on_trial_result(0, [], trial, {"results": [own], "done": own["done"]})
                self.driver.on_step_end(0, [])
            self.driver.on_trial_complete(0, [], trial)

    def write(self, number: int, schedule: dict[str, Any]) -> Iterator[None]:
        """Write one trial to the tables alone; yields after each report."""
        run = {"trial": number, "configuration": number, "repeat": 0, "seed": 0}
        own = OpenRun({**run, "model": "vae", "schedule": schedule})
        event = {"trial": number, "time": datetime.now(UTC).isoformat()}
        self.parts.recorder.apply({**event, "event": START, "config": own.config}, own)
        for evaluation in range(1, self.reports + 1):
            own.last = result(self._rng, evaluation / self.reports)
            self.parts.recorder.apply({**event, "event": REPORT, "result": own.last}, own)
            yield
        self.parts.recorder.apply({**event, "event": END, **end_of(own.last)}, own)


class Instant(tune.Trainable):  # type: ignore[misc]
    """A training whose results are there at once."""

    def setup(self, config: dict[str, Any], context: Context) -> None:
        """Begin the first trial of this process."""
        self._reports = round(1 / context.plans["vae"].every)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial."""
        (self._config,) = new_config["trials"]
        self._rng, self._done = random.Random(self._config["trial"]), 0
        return True

    def step(self) -> dict[str, Any]:
        """Report the next evaluation."""
        self._done += 1
        found, done = self.found(), self._done == self._reports
        return {"results": [{**found, "trial": self._config["trial"], "done": done}], "done": done}

    def found(self) -> dict[str, Any]:
        """Invent the result."""
        return result(self._rng, self._done / self._reports)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing."""


class Paced(Instant):
    """A training that sleeps a millisecond in place of each step, and reports as planned."""

    def setup(self, config: dict[str, Any], context: Context) -> None:
        """Begin the first trial of this process."""
        super().setup(config, context)
        self._steps = context.config.steps

    def step(self) -> dict[str, Any]:
        """Sleep up to the next evaluation, and report it."""
        time.sleep(STEP_SECONDS * self._steps / self._reports)
        return super().step()

    def found(self) -> dict[str, Any]:
        """Invent the result, at its step."""
        found = super().found()
        return {**found, "step": round(self._steps * found["progress"])}


def under_ray(driver: Driver, ended: Callable[[], object]) -> None:
    """Let Ray Tune run a search as the launcher does, with trainings that report at once.

    Args:
        driver: The search.
        ended: Called after each trial.
    """
    with mock.patch.object(search_driver.Driver, "_forget", _then(ended)), ray_environment():
        start_ray(driver.config)
        session.tuner(Instant, driver.context, driver.driver, driver.stop).fit()
    ray.shutdown()


def _then(ended: Callable[[], object]) -> Callable[[Any, Any], None]:
    forget = search_driver.Driver._forget

    def both(driver: Any, trial: Any) -> None:
        forget(driver, trial)
        ended()

    return both


class Stamps:
    """Takes wall and CPU time of the driver at each report, where a logger is told of it."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def started(self, *_: Any) -> None:
        """Pass it over."""

    def reported(self, *_: Any) -> None:
        """Take the times."""
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def ended(self, *_: Any) -> None:
        """Pass it over."""

    def close(self) -> None:
        """Pass it over."""


class StampsOfRay(Stamps, tune.Callback):  # type: ignore[misc]
    """The same where Ray itself tells."""

    def on_trial_result(self, *_: Any, **__: Any) -> None:
        """Take the times."""
        self.reported()

    def __getstate__(self) -> dict[str, object]:
        """Ray pickles its callbacks, but never uses the copy here."""
        return {}


def search_paced(config: SearchConfig, stamps: Stamps) -> Outcome:
    """Run a whole search as ``mollitune search`` does, with trainings that sleep.

    Args:
        config: The search; a step takes a millisecond, whatever the model.
        stamps: Stands where loggers do, the last but one to see a report.
    """
    with (
        mock.patch.object(session, "RunsTrainable", Paced),
        mock.patch.object(session, "run_loggers", return_value=[stamps]),
    ):
        return run_search(config, Console(file=io.StringIO()))


def result(rng: random.Random, progress: float) -> dict[str, Any]:
    """Invent the result of a trial that is always clean.

    Args:
        rng: Source of the FID.
        progress: Share of the training that is done, in (0, 1].
    """
    fid = 40 + 10 * rng.random()
    evaluation = Evaluation(
        step=round(STEPS * progress),
        progress=progress,
        level=0.0,
        phase="clean",
        fid=fid,
        step_fid=fid,
        bpd=3.5 + fid / 100,
        nll=math.nan,
        train_bpd=None,
        train_loss=fid / 50,
        probe_fid=None,
        probe_steps=0,
        non_finite_losses=0,
        non_finite_samples=0,
        step_seconds=0.0123,
        eval_seconds=4.56,
        samples=_NO_PICTURE,
    )
    return {**evaluation.row(), "device": "cpu"}


def drawn(count: int) -> list[Configuration]:
    """Return that many configurations, their schedules of all families."""
    spaces = {n: FamilySpace(n) for n in families() if n != "vanilla"}
    draws, rng = SpaceSource(spaces, SIDE), random.Random(0)
    found: list[Configuration] = []
    while len(found) < count:
        found += draws.candidates(rng)
    return found[:count]
