"""Exact resume and extension for any trainable, searcher and scheduler of Ray Tune.

Everything that happens is written down before anything learns from it, and all state is what the
record says: a run that was killed, the driver too, goes on as one that was not, and one that has
ended can be given more trials. Ray Tune's own restore forgets its scheduler. Nothing in here knows
what is trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ray import tune
from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.store.journal import END, REPORT, START, Event, Journal, JournalError
from mollitune.search.store.lease import Lease
from mollitune.search.store.retry import Retry

from .environment import ray_environment
from .foreign import Fed, RandomSearcher

_ITERATION = "training_iteration"
_OF_RAY = {
    *("timestamp", "date", "time_this_iter_s", "time_total_s", "time_since_restore", "done"),
    *("iterations_since_restore", "trial_id", "pid", "hostname", "node_ip"),
}
"""What Ray adds to a result."""


def run(
    trainable: Any,
    folder: str | Path,
    *,
    metric: str,
    mode: str,
    samples: int,
    space: Mapping[str, Any] | None = None,
    searcher: Searcher | None = None,
    scheduler: TrialScheduler | None = None,
    workers: int | None = None,
    retries: int = 0,
    seed: int = 0,
    stop: Any = None,
) -> tune.ResultGrid:
    """Run trials on Ray Tune, or go on with them: the same call does both.

    With more ``samples`` than before it goes on with a run that has ended. Searcher and scheduler
    must be made anew for each call, and alike; their state comes from the record. Trials that were
    cut off begin again, and results that they had reported are not learned from twice; where every
    result follows from the configuration and one worker runs, all is as if nothing had happened.

    Args:
        trainable: A function or class, as Ray Tune takes it, with resources and parameters.
        folder: Where the record lies: a local folder, or a file system URI.
        metric: What is optimised.
        mode: ``min`` or ``max``.
        samples: Trials in all.
        space: What is searched, as ``param_space`` of Ray Tune.
        searcher: What proposes configurations; by default they are drawn at random, by ``seed``.
        scheduler: What stops trials; it must not pause them.
        workers: Trials at once, at most; by default as many as there is room for.
        retries: How often a trial that fails is tried again.
        seed: Seed of the random draws.
        stop: As ``stop`` of Ray Tune.

    Returns:
        Ray Tune's results of the trials that ran in this call.

    Raises:
        MollituneError: If another process works on the folder, the record is damaged or is not of
            these arguments, or it can no longer be written.
    """
    with Lease(str(folder)) as lease, ray_environment():
        own = RandomSearcher(space or {}, seed) if searcher is None else searcher
        fed = Fed(own, scheduler, metric, mode, space)
        record = Record(Journal.open(str(folder), Retry(0, print, lease)), fed, samples)
        record.resume()
        grid = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=_Handing(record),
                scheduler=_Asking(record),
                num_samples=max(1, record.left),
                max_concurrent_trials=workers,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(Path(folder).resolve()) if "://" not in str(folder) else folder,
                callbacks=[_Telling(record)],
                failure_config=tune.FailureConfig(max_failures=retries),
                stop=stop,
                verbose=0,
            ),
        ).fit()
        if record.failure is not None:
            raise record.failure
        return grid


def table(folder: str | Path) -> pd.DataFrame:
    """Return a row for each trial of a record: its configuration, how it ended, its last result.

    Args:
        folder: Where the record lies.
    """
    rows: dict[int, dict[str, Any]] = {}
    for event in Journal.open(str(folder)).take():
        row = rows.setdefault(event["trial"], {"trial": event["trial"], "status": "open"})
        if event["event"] == START:
            row |= {f"config.{name}": value for name, value in event["config"].items()}
        elif event["event"] == REPORT:
            row |= {k: v for k, v in event["result"].items() if k not in _OF_RAY}
        else:
            row["status"] = event["how"]
    return pd.DataFrame(rows.values())


@dataclass
class _Open:
    """A trial that has not ended: its configuration and its last result."""

    config: Mapping[str, Any]
    last: dict[str, Any] = field(default_factory=dict)


class Record:
    """What happened, and what has learned from it.

    Arguments:
        journal: Where it is written.
        fed: What learns.
        samples: Trials in all.

    Attributes:
        failure: Why nothing can be written any more; None while all is well.
    """

    def __init__(self, journal: Journal, fed: Fed, samples: int) -> None:
        self._journal = journal
        self._fed = fed
        self._left = samples
        self._next = 0
        self._open: dict[int, _Open] = {}
        self._again: list[int] = []
        self._numbers: dict[str, int] = {}
        self.failure: MollituneError | None = None

    def resume(self) -> None:
        """Bring everything to where the record ends.

        Raises:
            JournalError: If it is not a record of this searcher and scheduler.
        """
        for event in self._journal.take():
            try:
                if event["event"] == START:
                    # so that its state is what it was; what was proposed then counts
                    self._fed.suggest(event["trial"])
                self._apply(event)
            except (KeyError, TypeError, ValueError) as error:
                raise JournalError(
                    f"trial {event['trial']} of the record cannot be repeated "
                    f"({first_line(error)}); give the searcher and scheduler it was begun with"
                ) from error
        self._again = sorted(self._open)

    @property
    def left(self) -> int:
        """Trials that are still to be handed out."""
        return len(self._again) + max(0, self._left)

    def take(self, ray_id: str) -> Mapping[str, Any] | None:
        """Return the configuration of the next trial; None if there is none now."""
        if self._again:
            number = self._again.pop(0)
        else:
            number = self._next
            config = self._fed.suggest(number) if self._left > 0 else None
            if self._fed.finished:
                self._left = 0
            if config is None or self._happened(START, number, config=_written(config)) is None:
                return None
        self._numbers[ray_id] = number
        return self._open[number].config

    def judge(self, ray_id: str, result: Mapping[str, Any]) -> bool:
        """Learn of a result that is new; return whether its trial is to be stopped."""
        number = self._numbers[ray_id]
        own = self._open.get(number)
        if own is None:
            return True
        if result[_ITERATION] <= own.last.get(_ITERATION, 0):
            return False  # it was cut off, and repeats what it had reported
        stopped = self._happened(REPORT, number, result=_plain(result))
        if stopped is True:
            self._happened(END, number, how="stopped", result=own.last)
        return stopped is not False

    def end(self, ray_id: str, result: Mapping[str, Any], how: str) -> None:
        """Learn that a trial has ended by itself."""
        number = self._numbers.get(ray_id)
        if number is not None and number in self._open:
            own = self._open[number].last
            last = _plain(result) if how == "completed" else own
            self._happened(END, number, how=how, result=last or own or None)

    def _happened(self, kind: str, number: int, **values: object) -> bool | None:
        """Write an event and let everything learn from it.

        Returns:
            Whether the trial is to be stopped; None if it could not be written, or learned from.
        """
        if self.failure is not None:
            return None
        try:
            event = self._journal.append(kind, number, **values)
            # what is learned is what a reader of the record will see: of a tuple, a list
            return self._apply(json.loads(json.dumps(event)))
        except MollituneError as error:
            self.failure = error
        except TypeError as error:
            told = f"{values} cannot be written down ({first_line(error)}); use numbers and texts"
            self.failure = MollituneError(told)
        return None

    def _apply(self, event: Event) -> bool:
        """Let everything learn from an event; return whether its trial is to be stopped."""
        number = event["trial"]
        if event["event"] == START:
            self._open[number] = _Open(event["config"])
            self._next, self._left = number + 1, self._left - 1
            self._fed.started(number, event["config"])
        elif event["event"] == REPORT:
            self._open[number].last = event["result"]
            return self._fed.reported(number, event["result"])
        elif event["event"] == END:
            self._fed.ended(number, event["result"], event["how"])
            del self._open[number]
        return False


class _Handing(Searcher):  # type: ignore[misc]
    """Hands Ray the trials of a record."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        config = self._record.take(trial_id)
        if config is not None:
            return dict(config)
        return str(Searcher.FINISHED) if self._record.left == 0 else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn nothing: the record tells."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: all is in the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, see `save`."""


class _Asking(FIFOScheduler):  # type: ignore[misc]
    """Asks the record whether a trial is to be stopped."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles it, but never uses the copy here

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        stopped = self._record.judge(trial.trial_id, result)
        return str(TrialScheduler.STOP if stopped else TrialScheduler.CONTINUE)


class _Telling(Callback):  # type: ignore[misc]
    """Tells the record which trials have ended."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        last = trial.last_result or {}
        if last.get("done"):  # else it was cut off with all
            self._record.end(trial.trial_id, last, "completed")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._record.end(trial.trial_id, {}, "failed")


def _plain(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a result can be written down: numbers and texts."""
    kept = {k: _written(v) for k, v in result.items() if not k.startswith("config")}
    return {k: v for k, v in kept.items() if isinstance(v, bool | int | float | str)}


def _written(value: Any) -> Any:
    """Return a value with Python's own numbers in it."""
    if isinstance(value, Mapping):
        return {str(key): _written(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_written(own) for own in value]
    return value.item() if isinstance(value, np.generic) else value
