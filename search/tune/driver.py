"""The one way through Ray Tune: what Ray tells becomes an event, and the event is all that counts.

One of Ray's trials carries one run of the search or several, which share a process. Ray's own
searcher, scheduler and snapshots decide and keep nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.search import Searcher

from mollitune._errors import MollituneError
from mollitune._folder import Folder, StorageError
from mollitune.search.store.journal import (
    END,
    ERROR,
    REPORT,
    RESTART,
    START,
    Journal,
)
from mollitune.search.store.objective import FID, Constraint, Objective

from . import beacon
from .faults import FAILURES, last_failure, reason
from .fold import Fold
from .loggers import RunLogger
from .placement import Waiting
from .runs import OpenRun, end_of, start_of
from .watchdog import Watchdog


class StopAll(Stopper):  # type: ignore[misc]
    """Ends the whole search once ``now`` is set, e.g. when results can no longer be written.

    Ray's event loop must not see an exception, so what went wrong is kept here and raised by the
    launcher.

    Attributes:
        now: Whether the search must end.
        failure: The first thing that went wrong.
    """

    def __init__(self) -> None:
        self.now = False
        self.failure: MollituneError | None = None

    def fail(self, error: MollituneError) -> None:
        """End the search because of an error."""
        self.failure = self.failure or error
        self.now = True

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: no single trial is stopped here."""
        return False

    def stop_all(self) -> bool:
        """Return whether the search must end."""
        return self.now


class Driver(Callback):  # type: ignore[misc]
    """Writes down what Ray tells, then lets everything learn from it.

    No run is started before all that led to it is in the record; the rest is written within a
    second. What a driver that is killed had not written comes again from the runs, whose
    checkpoints keep what they reported. What comes once the whole search is being ended is not
    recorded: runs that were cut off were not judged, and go on when it is resumed.

    Arguments:
        folder: The search, a path in full or a URI.
        journal: The record.
        fold: What learns from it.
        watchdog: What kills processes that hang.
        room: What tells that nothing is placed.
        stop: What ends the whole search.
        loggers: What else is told of each run, while it happens only.
        objective: What the search minimises.
        constraint: What it bounds.
    """

    def __init__(
        self,
        folder: str,
        journal: Journal,
        fold: Fold,
        watchdog: Watchdog,
        room: Waiting,
        stop: StopAll,
        loggers: Sequence[RunLogger] = (),
        objective: Objective = FID,
        constraint: Constraint | None = None,
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._fold = fold
        self._watchdog = watchdog
        self._room = room
        self._stop = stop
        self._loggers = list(loggers)
        self._aims = objective, constraint
        self._again: list[int] = []
        self._waiting: set[int] = set()  # were handed out, and not started by Ray so far
        self._restarted: set[str] = set()  # processes that have not told from where they go on
        self._asked = 0.0

    def __getstate__(self) -> dict[str, Any]:
        # Ray pickles its callbacks, but never uses the copy here
        return {}

    def resume(self) -> None:
        """Bring everything to where the record ends, and queue the runs that had not ended.

        A run whose last result or decision ends it, but whose end was not recorded any more, ends
        here.

        Raises:
            JournalError: If the record is not that of this config and version.
        """
        self._fold.replay(self._journal.take())
        with self._fold.view.silent():
            for number in [n for n in self._fold.open if self._fold.is_over(n)]:
                self._end(number)
        self._again = list(self._fold.open)

    @property
    def left(self) -> int:
        """Runs that are still to be handed out, at most."""
        return len(self._again) + self._fold.searcher.left

    @property
    def finished(self) -> bool:
        """Whether every run was handed out and has ended."""
        return self.left == 0 and not self._fold.open

    @property
    def cut_off(self) -> bool:
        """Whether the whole search is being ended."""
        return self._stop.now

    def take(self) -> Mapping[str, Any] | None:
        """Return the config of the next run, to be started after a `commit`; None without one."""
        if self._again:
            return self._fold.open[self._again.pop(0)].config
        proposal = self._fold.searcher.propose()
        if proposal is None:
            return None
        number = proposal.run.trial
        if not self._happened(START, number, **start_of(proposal)):
            return None
        self._waiting.add(number)
        return self._fold.open[number].config

    def commit(self) -> bool:
        """Write what has happened; return whether that could be done."""
        return self._written(self._journal.commit)

    def told(self, number: int, result: Mapping[str, Any]) -> None:
        """Record a result, and the end of its run if it was the last one.

        A run that was started again repeats what it had reported since its checkpoint. The first
        value stays: decisions were taken on it.
        """
        run = self._fold.open[number]
        if "error" in result:
            self._fail(number, result["error"], result["traceback"])
            return
        if "step" in result and result["step"] > run.last.get("step", 0):
            kept = {k: v for k, v in result.items() if k not in ("trial", "done")}
            if not self._happened(REPORT, number, result=kept):
                return
            for logger in self._loggers:
                logger.reported(run.config, kept)
        if result["done"] or self._fold.is_over(number):
            self._end(number)

    @property
    def open(self) -> Mapping[int, OpenRun]:
        """The runs that have not ended, by number."""
        return self._fold.open

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note the runs as started; a second start of one is another attempt."""
        for number in self._runs(trial):
            if number in self._waiting:
                self._waiting.discard(number)
            else:
                self._restarted.add(trial.trial_id)
                self._happened(RESTART, number)
            for logger in self._loggers:
                logger.started(self._fold.open[number].config, trial)
        self._watchdog.started(trial)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Record each result, and let the process know whom not to train on."""
        self._watchdog.reported(trial)
        self._say_resumed(trial.trial_id, last=True)
        before = self._runs(trial)
        for own in result["results"]:
            if own["trial"] in self._fold.open:
                self.told(own["trial"], own)
        left = self._runs(trial)
        if left != before and not result["done"]:
            ended = [n for n in _numbers(trial) if n not in left]
            beacon.put(self._folder, beacon.ENDED, trial.trial_id, ended)

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Forget a process that has ended, or was cut off with the whole search."""
        self._forget(trial)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say why a process failed, and wait for its next start; Ray starts it again."""
        numbers, (why, told) = self._runs(trial), self._why(trial)
        self._watchdog.ended(trial)
        self._fold.view.retried(numbers, why, trial.num_failures, trial.max_failures)
        for number in numbers:
            self._keep(number, told)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """End the runs of a process that failed for good, and note why it did the last time."""
        why, told = self._why(trial)
        for number in self._runs(trial):
            self._fail(number, why, told)
        self._forget(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Write what has waited long enough, and look for what hangs, or waits for room."""
        self._written(self._journal.commit_if_due)
        self._fold.recorder.flush_if_due()
        self._watchdog.look_if_due()
        self._look_if_due()
        self._room.look(self._watchdog.watched, len(self._waiting) + self.left)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Let the loggers finish."""
        for logger in self._loggers:
            logger.close()

    def _runs(self, trial: Any) -> list[int]:
        """Return the numbers of the runs of one of Ray's trials that have not ended."""
        return [number for number in _numbers(trial) if number in self._fold.open]

    def _why(self, trial: Any) -> tuple[str, str]:
        """Return why a process failed the last time, in a line and in full."""
        told = last_failure(trial.error_file)
        return self._watchdog.reasons.get(trial.trial_id) or reason(told), told

    def _fail(self, number: int, why: str, told: str) -> None:
        """End a run that failed."""
        if self._happened(ERROR, number, text=why):
            self._keep(number, told)
            self._end(number, failed=True)

    def _keep(self, number: int, told: str) -> None:
        """Keep all that is told of a failure in the search's folder."""
        with contextlib.suppress(StorageError):  # the reason is in the record, or was told
            Folder(self._folder).write(f"{FAILURES}/{number:04d}.txt", told.encode())

    def _look_if_due(self) -> None:
        """Look whether processes that were started again tell from where they go on."""
        now = time.monotonic()
        if self._restarted and now - self._asked >= 1:
            self._asked = now
            for process in [*self._restarted]:
                self._say_resumed(process)

    def _say_resumed(self, process: str, *, last: bool = False) -> None:
        if process not in self._restarted:
            return
        steps = beacon.get(self._folder, beacon.RESUMED, process)
        if isinstance(steps, dict):
            self._fold.view.resumed({int(number): step for number, step in steps.items()})
        if last or steps is not None:
            self._restarted.discard(process)
            beacon.forget(self._folder, beacon.RESUMED, process)

    def _end(self, number: int, *, failed: bool = False) -> None:
        run = self._fold.open[number]
        if self._happened(END, number, **end_of(run.last, *self._aims, failed=failed)):
            for logger in self._loggers:
                logger.ended(run.config, failed)

    def _happened(self, kind: str, trial: int, **values: object) -> bool:
        """Note an event and let everything learn from it; return whether that could be done."""
        event = partial(self._journal.note, kind, trial, **values)
        return self._written(lambda: self._fold.apply(event()))

    def _written(self, write: Callable[[], None]) -> bool:
        """Do what writes, unless the search is being ended; it ends where that fails."""
        if self._stop.now:
            return False
        try:
            write()
        except MollituneError as error:
            self._stop.fail(error)
            return False
        return True

    def _forget(self, trial: Any) -> None:
        self._watchdog.ended(trial)
        self._say_resumed(trial.trial_id, last=True)
        beacon.forget(self._folder, beacon.ENDED, trial.trial_id)
        # of every number that a trial reports Ray keeps six statistics and the last ten values,
        # 37 kB that nobody asks for
        trial.metric_analysis.clear()
        trial.metric_n_steps.clear()


class DriverSearcher(Searcher):  # type: ignore[misc]
    """Hands Ray Tune the runs of a search, several for each of its trials.

    Arguments:
        driver: Where the runs come from.
        size: How many at a time, at most.
    """

    def __init__(self, driver: Driver, size: int) -> None:
        super().__init__(metric="fid", mode="min")
        self._driver = driver
        self._size = size

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the configs of the next runs as ``trials``, or ``FINISHED``."""
        found: list[Mapping[str, Any]] = []
        while len(found) < self._size and (config := self._driver.take()) is not None:
            found.append(config)
        if found and self._driver.commit():
            return {"trials": [dict(config) for config in found]}
        return None if self._driver.cut_off else str(Searcher.FINISHED)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn nothing: the record tells of each run."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: a search is resumed from its own record, not from Ray's snapshots."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, see `save`."""


def _numbers(trial: Any) -> list[int]:
    """Return the numbers of the runs that one of Ray's trials carries."""
    return [config["trial"] for config in trial.config["trials"]]
