"""Ask and tell: who trains elsewhere asks what to train, and tells what came of it.

The record, the policy and the tables are those of any search, so that it is gone on with, read and
reported as one; only nothing is trained here, and Ray does not run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import below
from mollitune._folder import Folder
from mollitune.analysis.tables import load_results
from mollitune.schedules import Option, Schedule
from mollitune.search.config import SearchConfig
from mollitune.search.data.images import Images, Splits
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.metrics.reference import RealStatistics, Reference
from mollitune.search.store.description import read_description, read_metadata
from mollitune.search.store.evaluation import OPTIONAL, Evaluation
from mollitune.search.store.journal import Journal
from mollitune.search.store.lease import Lease
from mollitune.search.store.retry import Retry, wait_seconds
from mollitune.search.store.writer import Store, create_search_folder
from mollitune.search.terminal import ProgressView
from mollitune.search.tune.budget import Plan
from mollitune.search.tune.context import Context
from mollitune.search.tune.driver import Driver, StopAll
from mollitune.search.tune.placement import Waiting
from mollitune.search.tune.recorder import Recorder
from mollitune.search.tune.session import fold_of
from mollitune.search.tune.watchdog import Watchdog

from .resumed import known_parameters, known_prior, table_parameters
from .search import check_same, job_of, prior_of

ELSEWHERE = "elsewhere"
"""Stands where a search says what measured its values, if it did not do so itself."""


@dataclass(frozen=True)
class Asked:
    """What is to be trained.

    Attributes:
        trial: Number of the run.
        model: Its model.
        schedule: How its training data are mollified: ``x = schedule(x, step / steps)``.
        settings: Hyperparameters that the search varies, by name.
        seed: Seed of weights, batches and noise; runs of one seed are paired.
        steps: How long to train.
    """

    trial: int
    model: str
    schedule: Schedule
    settings: Mapping[str, Option]
    seed: int
    steps: int


class Asking:
    """A search whose runs are trained elsewhere; begun here, or gone on with.

    It holds the search until it is closed: no other driver works on it meanwhile.

    Arguments:
        config: The search.
        shape: Shape (C, H, W) of its images, which bounds the blur.
        console: Where it is told how runs ended.

    Raises:
        MollituneError: If the search was begun with another config, another driver works on it,
            or its record is damaged.
    """

    def __init__(self, config: SearchConfig, shape: tuple[int, ...], console: Console) -> None:
        folder = below(config.root, config.name)
        known = read_description(Folder(folder))
        if known is None:
            create_search_folder(config.root, config.name)
        else:
            check_same(known, config, folder)
        self._lease = Lease(folder)
        self._lease.__enter__()
        try:
            self._open(config, shape, console, folder, is_new=known is None)
        except BaseException:
            self._lease.__exit__(None, None, None)
            raise

    def _open(
        self,
        config: SearchConfig,
        shape: tuple[int, ...],
        console: Console,
        folder: str,
        *,
        is_new: bool,
    ) -> None:
        context = _context(config, shape, folder)
        if is_new:
            searches = [load_results(name, config.root) for name in config.prior]
            known = table_parameters(config), prior_of(searches, config, console)
            self._job = job_of(context, *known, pictures=False)
        else:
            told = read_metadata(folder)
            known = known_parameters(told), known_prior(told)
            self._job = job_of(context, *known, told["created"], pictures=False)
        say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
        retry = Retry(wait_seconds(), say, self._lease)
        self._stop = StopAll()
        journal = Journal.open(folder, retry, self._job.record)
        self._store = Store.open(folder, self._job.params, retry, config.fid.own_metrics)
        self._job.describe(self._store, "running", 0.0)
        self._context = context
        self._recorder = Recorder(self._store, context, self._stop.fail)
        view = ProgressView(self._job.work, console, objective=context.objective)
        self._driver = Driver(
            folder,
            journal,
            fold_of(self._job, context, self._recorder, view),
            Watchdog(folder, None),
            Waiting({}, say),
            self._stop,
            objective=context.objective,
            constraint=config.bounded,
        )
        self._driver.resume()

    def ask(self) -> Asked | None:
        """Return the next run to train; None if there is none, or none before another is told.

        Runs that were asked for by a process that has gone come first.

        Raises:
            MollituneError: If it cannot be written down.
        """
        config = self._driver.take()
        self._driver.commit()
        self._check()
        if config is None:
            return None
        spec = self._context.spec(config)
        return Asked(
            config["trial"],
            config["model"],
            spec.schedule,
            dict(config.get("settings", {})),
            config["seed"],
            spec.steps,
        )

    def tell(
        self, asked: Asked, value: float | None, metrics: Mapping[str, float], error: str | None
    ) -> None:
        """Note what came of a run at its end.

        Args:
            asked: The run.
            value: Its objective, as it was measured; None or not finite if the run failed.
            metrics: Other columns of the tables, such as ``bpd`` or ``kid``.
            error: Why it failed; None if it did not.

        Raises:
            MollituneError: If it is no run that was asked for and not told yet, a metric has no
                column, or it cannot be written down.
        """
        objective = self._context.objective
        if asked.trial not in self._driver.open:
            raise MollituneError(f"trial {asked.trial} is not open: it was told, or never asked")
        found = {"bpd": math.nan, "fid": math.nan, **metrics}
        if value is not None:
            found[objective.column] = value
            if math.isnan(found["fid"]):
                raise MollituneError(f"trial {asked.trial}: tell fid= beside {objective.column}")
        self._driver.told(asked.trial, {**_row(asked, found, error), "done": True})
        self._driver.commit()
        self._recorder.flush_if_due()
        self._check()

    def close(self) -> None:
        """Write everything, and let others work on the search."""
        try:
            self._recorder.close()
            status = "finished" if self._driver.finished else "interrupted"
            self._job.describe(self._store, status, 0.0)
        finally:
            self._lease.__exit__(None, None, None)

    def _check(self) -> None:
        if self._stop.failure is not None:
            raise self._stop.failure


def _context(config: SearchConfig, shape: tuple[int, ...], folder: str) -> Context:
    """Return what all runs share, of which nothing was measured here."""
    images = Images(config.dataset, np.zeros((1, *shape), np.uint8), known_sha256=ELSEWHERE)
    nothing = np.zeros((0, 0))
    statistics = RealStatistics(np.zeros(0), nothing, nothing, 0)
    reference = Reference(Extractor(ELSEWHERE, b"", 0, "none"), statistics, ELSEWHERE)
    plans = {entry.name: Plan(1.0, 0, final=config.fid.final.spec) for entry in config.model}
    return Context(config, Splits(images, images, images), reference, folder, plans)


def _row(asked: Asked, found: Mapping[str, float], error: str | None) -> dict[str, object]:
    own = {name: value for name, value in found.items() if name not in ("fid", "bpd", "nll")}
    if unknown := sorted(own.keys() - OPTIONAL.keys()):
        raise MollituneError(
            f"no column for {unknown[0]}; tell fid, bpd, nll, {', '.join(OPTIONAL)}"
        )
    evaluation = Evaluation(
        step=asked.steps,
        progress=1.0,
        level=asked.schedule.level(1.0),
        phase="mollified" if asked.schedule.mollified(1.0) else "clean",
        fid=found["fid"],
        step_fid=found["fid"],
        probe_fid=None,
        probe_steps=0,
        bpd=found["bpd"],
        nll=found.get("nll", math.nan),
        train_bpd=found.get("train_bpd"),
        train_loss=math.nan,
        non_finite_losses=0,
        non_finite_samples=0,
        step_seconds=math.nan,
        eval_seconds=math.nan,
        samples=np.zeros((0, 1, 1, 1), np.uint8),
        extras=own,
        failure=error,
    )
    return {**evaluation.row(), "device": ELSEWHERE}
