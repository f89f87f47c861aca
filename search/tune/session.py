"""One session on Ray Tune: runs the trials of a search or a confirmation, and keeps the record."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
from ray import tune
from ray.tune import ProgressReporter
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import below, resolve
from mollitune._folder import Folder, StorageError
from mollitune.search.config import SearchConfig
from mollitune.search.policy.comparability import Comparability
from mollitune.search.policy.stopping import Stopping
from mollitune.search.store.journal import Journal
from mollitune.search.store.lease import Lease
from mollitune.search.store.retry import Retry
from mollitune.search.store.writer import Store
from mollitune.search.terminal import ProgressView, asked_to_stop
from mollitune.search.training.checkpoints import CHECKPOINTS

from .cluster import temp_folder
from .context import Context
from .device import trial_resources
from .driver import Driver, DriverSearcher, StopAll
from .faults import FAILURES, summary
from .fold import Fold
from .loggers import run_loggers
from .own import objects_of, sent_whole
from .placement import Waiting, asked_of
from .plugged import Plugged
from .recorder import Recorder
from .scheduler import PolicyScheduler
from .searcher import Proposing, ScheduleSearcher
from .trainable import RunsTrainable
from .watchdog import Watchdog

RAY_FOLDER = "tune"


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Arguments:
        folder: Folder of the search, a path or URI.
        trials: Number of trials by status.
        interrupted: Whether it was cut off before all trials had ended.
        seconds: Wall time of the trials.
        result_grid: Ray Tune's own results; None if it had nothing to run.
    """

    folder: str
    trials: dict[str, int]
    interrupted: bool
    seconds: float
    result_grid: Any = None

    @property
    def status(self) -> str:
        """``interrupted``; ``failed``, if every trial did; or ``finished``."""
        if self.interrupted:
            return "interrupted"
        return "failed" if set(self.trials) == {"failed"} else "finished"


@dataclass(frozen=True)
class Job:
    """What a session runs: a search, or its confirmation.

    Arguments:
        context: What all trials share.
        proposer: What decides on the runs.
        work: What they cost at most, in trainings of the search's own length.
        record: Folder of the record below that of the search.
        params: Arrow type of each schedule parameter in the tables, by name.
        describe: Keeps status and seconds where the job is described.
        go_on: The command that goes on with it.
        shortest: Its shortest run, as a multiple of the search's own length.
        plugged: What of Ray Tune's decides in it; None where all is our own.
    """

    context: Context
    proposer: Proposing
    work: float
    record: str
    params: Mapping[str, pa.DataType]
    describe: Callable[[Store, str, float], None]
    go_on: str
    shortest: float = 1.0
    plugged: Plugged | None = None


def run_job(job: Job, console: Console, wait: float, lease: Lease) -> Outcome:
    """Run all trials of a job, or go on with it, to its end or to the first SIGINT or SIGTERM.

    Args:
        job: What to run.
        console: Where progress goes.
        wait: How long a storage that fails is waited for, in seconds.
        lease: Held by this driver.

    Returns:
        How it ended; all results are in the tables by then.

    Raises:
        MollituneError: If the record is damaged, or results can no longer be written.
    """
    context, config = _on_any_node(job.context), job.context.config
    start = time.monotonic()
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    retry = Retry(wait, say, lease)
    journal, stop = Journal.open(context.folder, retry, job.record), StopAll()
    store = Store.open(context.folder, job.params, retry, config.fid.own_metrics)
    # before anything else: from here on the job can be resumed
    job.describe(store, "running", 0.0)
    recorder = Recorder(store, context, stop.fail)
    objective = context.objective
    view = ProgressView(job.work, console, context.stage == "search", objective)
    with view, asked_to_stop(_end_tune) as interrupted:
        retry.interrupted = interrupted.is_set
        if len(journal):
            console.print(f"Resuming: replayed {len(journal):,} events.", soft_wrap=True)
        driver = Driver(
            context.folder,
            journal,
            fold_of(job, context, recorder, view),
            Watchdog(context.folder, config.resources.hang_seconds),
            Waiting(asked_of(config), say),
            stop,
            run_loggers(config, context.folder, console),
            objective,
            config.bounded,
        )
        driver.resume()
        grid = None
        if driver.left and not interrupted.is_set():
            grid = tuner(RunsTrainable, context, driver, stop).fit()
        driver.commit()
    cut_off = not driver.finished  # who interrupts after the last trial has all there is
    try:
        recorder.close()
    except MollituneError as error:
        stop.fail(error)
    if stop.failure is not None:
        raise MollituneError(
            f"{stop.failure}; nothing that was reported is lost; resume with: {job.go_on}"
        )
    seconds = time.monotonic() - start
    counts = {name: recorder.outcomes.count(name) for name in sorted(set(recorder.outcomes))}
    outcome = Outcome(job.context.folder, counts, cut_off, seconds, grid)
    if recorder.failures:
        _tell_failures(recorder.failures, outcome.folder, console)
    job.describe(store, outcome.status, seconds)
    if not cut_off:
        with contextlib.suppress(StorageError):  # what the storage keeps does no harm
            Folder(context.folder).delete(CHECKPOINTS)
    return outcome


def fold_of(job: Job, context: Context, recorder: Recorder, view: ProgressView) -> Fold:
    """Return what learns from the record of a job."""
    stopping = stopping_of(context.config)
    own = PolicyScheduler(stopping, _comparability(context), context.objective)
    return Fold(
        ScheduleSearcher(job.proposer, job.work, job.shortest),
        own if job.plugged is None else job.plugged.beside(own),
        recorder,
        view,
    )


def _tell_failures(reasons: Sequence[str], folder: str, console: Console) -> None:
    told = [summary(reasons)]
    with contextlib.suppress(StorageError):
        if Folder(folder).list(FAILURES):
            told.append(f"tracebacks: {below(folder, FAILURES)}")
    for text in told:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _comparability(context: Context) -> dict[str, Comparability]:
    """Return for each model what its FIDs have in common in this search."""
    reference = context.reference
    return {
        name: Comparability(
            model=name,
            age=0.0,
            extractor=reference.extractor.identity,
            samples=plan.samples,
            reference=f"{reference.count} {reference.split} images",
            budget=context.config.images_of(name),
        )
        for name, plan in context.plans.items()
    }


def _on_any_node(context: Context) -> Context:
    """Name the folder in full, as a node works in another one, and add what it cannot import."""
    context = replace(context, own=objects_of(context.config))
    if "://" in context.folder:
        return context
    return replace(context, folder=resolve(context.folder)[1])


def stopping_of(config: SearchConfig) -> Stopping:
    """Return the early stopping that a config asks for."""
    stopping = config.stopping
    return Stopping(
        stopping.rule,
        stopping.marks,
        stopping.reduction_factor,
        stopping.min_competitors,
        stopping.audit,
        config.seed,
    )


def tuner(
    trainable: type[tune.Trainable], context: Context, driver: Driver, stop: StopAll
) -> tune.Tuner:
    """Return what runs trials on Ray, as many in each process as they gain by.

    Args:
        trainable: What runs in a worker, given ``context``.
        context: What all trials share.
        driver: What hands out the runs, and learns what comes of them.
        stop: What ends the whole search.
    """
    config, size = context.config, context.trials_per_process(driver.left)
    with sent_whole(context.own):
        known = tune.with_parameters(trainable, context=context)
    known = tune.with_resources(known, trial_resources(config))
    known.__qualname__ = f"Mollitune({config.name})"  # as Ray's dashboard shows it
    return tune.Tuner(
        known,
        tune_config=tune.TuneConfig(
            search_alg=DriverSearcher(driver, size),
            num_samples=driver.left,
            max_concurrent_trials=config.workers,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            # nothing is read from Ray's snapshots, and a storage that is away must not hold it up
            storage_path=temp_folder(),
            callbacks=[driver],
            failure_config=tune.FailureConfig(max_failures=config.resources.retries),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            stop=stop,
            verbose=0,
            progress_reporter=_Silent(),
        ),
    )


class _Silent(ProgressReporter):  # type: ignore[misc]
    """Keeps Tune from clearing the cell of a notebook: progress is shown by our own view."""

    def should_report(self, trials: Sequence[Any], done: bool = False) -> bool:
        """Return False: never."""
        return False

    def report(self, trials: Sequence[Any], done: bool, *info: dict[str, Any]) -> None:
        """Report nothing."""


def _name(trial: Any) -> str:
    first, *others = (config["trial"] for config in trial.config["trials"])
    return f"stack-{first:04d}" if others else f"{first:04d}"


def _end_tune() -> None:
    """End Tune in order, if it runs: it handles SIGUSR1 by saving and returning.

    On SIGINT it would do the same, but does not tell that it did, and SIGTERM, which clusters
    send, would kill it; so would SIGUSR1 while Tune does not handle it.
    """
    if callable(signal.getsignal(signal.SIGUSR1)):
        os.kill(os.getpid(), signal.SIGUSR1)
