"""The search's own record: every evaluation, decision and trial goes to the tables as it comes."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from ray.tune import Callback

from mollitune._errors import MollituneError
from mollitune.schedules import Schedule, shape_features
from mollitune.search.policy.decision import Decision
from mollitune.search.store.comparable import is_comparable
from mollitune.search.store.journal import ERROR, REPORT, RESTART, START, Event, Journal, time_of
from mollitune.search.store.schema import KEYS
from mollitune.search.store.writer import Store
from mollitune.search.terminal import ProgressView

from .context import Context
from .faults import UNKNOWN_ERROR, last_failure
from .scheduler import PolicyScheduler, StopAll
from .searcher import ScheduleSearcher, outcome_of

_MEASURED = (
    *("step", "progress", "level", "phase", "fid", "bpd", "train_loss"),
    *("kid", "precision", "recall", "fid_infinity"),
    *("probe_fid", "probe_steps"),
    *("non_finite_losses", "non_finite_samples"),
)
NOT_FINITE = "FID at full budget is not finite"
_OF_THE_TRIAL = (
    *("search", "trial", "configuration", "attempt", "seed", "stage"),
    *("model", "dataset", "family"),
)


class DecisionSource(Protocol):
    """What decides: the scheduler on running trials, the searcher on further seeds."""

    def take_decisions(self) -> list[Decision]:
        """Return the decisions since the last call."""


class Recorder(Callback):  # type: ignore[misc]
    """Writes what Ray Tune reports to the store, and tells the progress view.

    The tables are a fold over the record: rows that a killed driver had not written yet are
    written when the search is resumed. A store that fails ends the search instead of Ray's event
    loop.

    Arguments:
        store: The result tables.
        context: Config, data and reference of the search.
        sources: Where the decisions come from.
        view: The progress view.
        journal: The record, for the errors that only Ray tells.
        stop: What to tell when results can no longer be written.
        killed: Why the watchdog killed trials, by their numbers.
    """

    def __init__(
        self,
        store: Store,
        context: Context,
        sources: Sequence[DecisionSource],
        view: ProgressView,
        journal: Journal,
        stop: StopAll,
        killed: Mapping[int, str] | None = None,
    ) -> None:
        self._store = store
        self._context = context
        self._sources = sources
        self._view = view
        self._journal = journal
        self._stop = stop
        self._killed = {} if killed is None else killed
        self._rows: dict[int, dict[str, Any]] = {}
        self._last: dict[int, dict[str, Any]] = {}
        self._errors: dict[int, str] = {}
        self._texts: dict[int, str] = {}
        self._written = store.keys("decisions")
        # what the tables hold of the record; one key per report would grow without end
        self._reported = store.keys("reports")

    def __getstate__(self) -> dict[str, Any]:
        # the images stay in Ray's object store, not in every snapshot of the callbacks; nor are
        # scheduler and searcher in it once more
        return {**self.__dict__, "_shared": None, "_sources": (), "_journal": None}

    @property
    def outcomes(self) -> list[str]:
        """Status of every trial that was started."""
        return [row["status"] for row in self._rows.values()]

    @property
    def failures(self) -> list[str]:
        """Why trials failed, one reason for each that did."""
        return [row["error"] for row in self._rows.values() if row["status"] == "failed"]

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial as running; a second start is another attempt."""
        number = trial.config["trial"]
        if number not in self._rows:
            self._open(trial.config, datetime.now(UTC))
            return
        # in the record too: who resumes once more is to count this start
        self._guard(lambda: self._journal.append(RESTART, number))
        self._start_again(number)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Write an evaluation, and what was decided meanwhile."""
        self._evaluated(trial.config["trial"], result, datetime.now(UTC))
        self._write_decisions()

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Note how a trial ended, and what that decided."""
        self._write_decisions()
        result = trial.last_result or {}
        if outcome_of(result) == "stopped" and self._stop.now:
            return  # it was cut off with the whole search, not judged
        self._end(trial.config["trial"], outcome_of(result), result, datetime.now(UTC))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial that failed for good, and why the last time."""
        number = trial.config["trial"]
        if number not in self._rows:
            self._open(trial.config, datetime.now(UTC))  # its process did not even start
        reason = self._killed.get(number) or last_failure(trial.error_file)
        self._errors[number] = reason
        self._guard(lambda: self._journal.append(ERROR, number, text=reason))
        self._end(number, "failed", trial.last_result or {}, datetime.now(UTC))

    def fold(self, event: Event) -> None:
        """Bring a recorded event into the tables, unless it is there already."""
        number, time = event["trial"], time_of(event)
        if event["event"] == START:
            self._open(event["config"], time)
        elif event["event"] == RESTART:
            self._start_again(number)
        elif event["event"] == REPORT:
            self._evaluated(number, event["result"], time)
        elif event["event"] == ERROR:
            self._errors[number] = self._rows[number]["error"] = event["text"]
            self._write_trial(self._rows[number])
        else:
            self._end(number, event["outcome"], self._last.get(number, {}), time)
        self._write_decisions()

    def folded(self) -> None:
        """Forget what only matters while the record is folded."""
        self._reported = set()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Write what was decided, and what has waited long enough."""
        self._write_decisions()
        self._guard(self._store.flush_if_due)

    def close(self) -> None:
        """Mark trials that never ended as interrupted and write everything.

        Raises:
            StoreError: If the rows cannot be written.
        """
        self._write_decisions()
        for row in self._rows.values():
            if row["status"] == "running":
                row.update(status="interrupted", end=datetime.now(UTC))
                self._store.trial(row)
        self._store.close()

    def _evaluated(self, number: int, result: dict[str, Any], time: datetime) -> None:
        row = self._rows[number]
        # a trial that was started again repeats what it had reported: the first value stays
        new = result["step"] > self._last.get(number, {}).get("step", 0)
        self._last[number] = result
        row["step"] = result["step"]
        if "fid" in result:  # not when the training diverged between two evaluations
            self._view.evaluated(number, result["progress"], result["fid"], result["phase"])
            if new and (row["search"], number, result["step"]) not in self._reported:
                self._guard(lambda: self._store.report(self._report(row, result, time)))

    def _end(self, number: int, outcome: str, result: dict[str, Any], time: datetime) -> None:
        row = self._rows[number]
        final = outcome == "completed" and _comparable(result)
        error = self._errors.get(number) or result.get("failure")
        if outcome == "failed" and error is None:
            error = NOT_FINITE if result.get("progress", 0) >= 1 else UNKNOWN_ERROR
        row.update(status=outcome, end=time, error=error)
        if final:
            row.update(final_fid=result["fid"], final_bpd=result["bpd"])
        self._view.ended(number, outcome, result["fid"] if final else None)
        self._write_trial(row)
        self._last.pop(number, None)

    def _open(self, config: dict[str, Any], time: datetime) -> None:
        schedule = Schedule.from_dict(config["schedule"])
        row = self._rows[config["trial"]] = self._new_row(config, schedule, time)
        self._texts[config["trial"]] = str(schedule)
        self._view.started(config["trial"], config["model"], str(schedule))
        self._write_trial(row)

    def _start_again(self, number: int) -> None:
        row = self._rows[number]
        row["attempt"] += 1
        self._view.started(number, row["model"], self._texts[number])
        self._write_trial(row)

    def _new_row(
        self, config: dict[str, Any], schedule: Schedule, time: datetime
    ) -> dict[str, Any]:
        context = self._context.config
        steps = context.steps_of(config["model"])
        shapes = {**shape_features(schedule), "clean_steps": clean_steps(schedule, steps)}
        return {
            "search": context.name,
            "trial": config["trial"],
            "configuration": config["configuration"],
            "attempt": 1,
            "seed": config["seed"],
            "stage": self._context.stage,
            "model": config["model"],
            "dataset": context.dataset,
            "family": schedule.family,
            **{f"params.{k}": v for k, v in schedule.to_dict()["params"].items()},
            "status": "running",
            "start": time,
            "end": None,
            "step": 0,
            "steps": steps,
            "error": None,
            "checkpoint": None,
            "final_fid": None,
            "final_bpd": None,
            **{f"shape.{name}": value for name, value in shapes.items()},
        }

    def _report(
        self, row: dict[str, Any], result: dict[str, Any], time: datetime
    ) -> dict[str, Any]:
        reference = self._context.reference
        return {
            **{key: row[key] for key in _OF_THE_TRIAL},
            **{key: row[key] for key in row if key.startswith("params.")},
            **{name: result[name] for name in _MEASURED},
            "comparable": _comparable(result),
            "extractor": reference.extractor.name,
            "extractor_sha256": reference.extractor.sha256,
            "extractor_resize": reference.extractor.resize,
            "fid_samples": self._context.plans[row["model"]].samples,
            "ema": self._context.config.fid.ema or 0.0,
            "fid_reference": reference.split,
            "fid_reference_size": reference.count,
            "step_seconds": result["step_seconds"],
            "eval_seconds": result["eval_seconds"],
            "device": result["device"],
            "time": time,
        }

    def _write_decisions(self) -> None:
        for decision in (d for source in self._sources for d in source.take_decisions()):
            values = {"search": self._context.config.name, **vars(decision)}
            self._write_once(values)

    def _write_once(self, decision: dict[str, Any]) -> None:
        """Write a decision unless its key is in the table: the first one stays."""
        key = tuple(decision[name] for name in KEYS["decisions"])
        if key not in self._written:
            self._written.add(key)
            self._guard(lambda: self._store.decision(decision))

    def _write_trial(self, row: dict[str, Any]) -> None:
        self._guard(lambda: self._store.trial(row))

    def _guard(self, write: Any) -> None:
        """Run a write; on failure remember it and ask Ray to end the search."""
        try:
            write()
        except MollituneError as error:
            self._stop.fail(error)


def clean_steps(schedule: Schedule, steps: int) -> int:
    """Return how many of a trial's steps train on clean data.

    Step k = 0, 1, ... is mollified if ``schedule.mollified(k / steps)``.

    Example:
        >>> from mollitune.schedules import Linear
        >>> clean_steps(Linear(until=0.65), 10)
        3
    """
    first = bisect_left(range(steps), True, key=lambda k: not schedule.mollified(k / steps))
    return steps - first


def _comparable(result: dict[str, Any]) -> bool:
    fid = result["fid"]
    finite = fid if math.isfinite(fid) and not result.get("failure") else None
    return is_comparable(result["progress"], result["phase"], finite)


def fold(
    journal: Journal,
    searcher: ScheduleSearcher,
    scheduler: PolicyScheduler,
    recorder: Recorder,
) -> None:
    """Bring policy and tables to where the record ends, and queue what had not ended.

    A run whose last result or decision ends it, but whose end was not recorded any more, ends
    here.

    Raises:
        JournalError: If the record is not that of this config and version.
    """
    for event in journal.take():
        searcher.fold(event)
        scheduler.fold(event)
        recorder.fold(event)
    recorder.folded()
    for config in searcher.reissue():
        trial = config["trial"]
        if scheduler.is_over(trial):
            recorder.fold(searcher.end(trial, scheduler.last_result(trial)))
    searcher.reissue()
