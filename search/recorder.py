"""The search's own record: every evaluation, decision and trial goes to the tables as it comes."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from ray.tune import Callback, Stopper

from mollitune.schedules import Schedule, shape_features

from .policy.decision import Decision
from .progress import ProgressView
from .sampler import outcome_of
from .schema import is_comparable
from .store import Store, StoreError
from .trainable import Shared

_MEASURED = (
    *("step", "progress", "level", "phase", "fid", "bpd", "train_loss"),
    *("kid", "precision", "recall", "fid_infinity"),
    *("probe_fid", "probe_steps"),
    *("non_finite_losses", "non_finite_samples"),
)
_OF_THE_TRIAL = (
    *("search", "trial", "configuration", "attempt", "seed", "stage"),
    *("model", "dataset", "family"),
)


class DecisionSource(Protocol):
    """What decides: the scheduler on running trials, the searcher on further seeds."""

    def take_decisions(self) -> list[Decision]:
        """Return the decisions since the last call."""


class StopAll(Stopper):  # type: ignore[misc]
    """Ends the whole search once ``now`` is set, e.g. when results can no longer be written."""

    def __init__(self) -> None:
        self.now = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: no single trial is stopped here."""
        return False

    def stop_all(self) -> bool:
        """Return whether the search must end."""
        return self.now


class Recorder(Callback):  # type: ignore[misc]
    """Writes what Ray Tune reports to the store, and tells the progress view.

    A store that fails ends the search instead of Ray's event loop: the first failure is kept in
    ``failure`` and raised by the launcher.

    Arguments:
        store: The result tables.
        shared: Config, data and reference of the search.
        sources: Where the decisions come from.
        view: The progress view.
        stop: What to set when results can no longer be written.
    """

    def __init__(
        self,
        store: Store,
        shared: Shared,
        sources: Sequence[DecisionSource],
        view: ProgressView,
        stop: StopAll,
    ) -> None:
        self._store = store
        self._shared = shared
        self._sources = sources
        self._view = view
        self._stop = stop
        self._rows: dict[int, dict[str, Any]] = {}
        self.failure: StoreError | None = None

    def __getstate__(self) -> dict[str, Any]:
        # the images stay in Ray's object store, not in every snapshot of the callbacks; nor are
        # scheduler and searcher in it once more
        return {**self.__dict__, "_shared": None, "_sources": ()}

    @property
    def outcomes(self) -> list[str]:
        """Status of every trial that was started."""
        return [row["status"] for row in self._rows.values()]

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial as running; a second start is another attempt."""
        row = self._rows.get(trial.config["trial"])
        if row is None:
            self._open(trial.config)
        else:
            row["attempt"] += 1
            self._write_trial(row)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Write an evaluation, and what was decided meanwhile."""
        number = trial.config["trial"]
        row = self._rows[number]
        row["step"] = result["step"]
        if "fid" in result:  # not when the training diverged between two evaluations
            self._view.evaluated(number, result["progress"], result["fid"], result["phase"])
            self._guard(lambda: self._store.report(self._report(row, result)))
        self._write_decisions()

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Note how a trial ended, and what that decided."""
        self._write_decisions()
        result = trial.last_result or {}
        outcome = outcome_of(result)
        if outcome == "stopped" and self._stop.now:
            return  # it was cut off with the whole search, not judged
        error = result.get("failure")
        if outcome == "failed" and error is None:
            error = "FID at full budget is not finite"
        self._end(trial.config["trial"], outcome, result, error)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial that failed for good, with the last line of its traceback."""
        if trial.config["trial"] not in self._rows:
            self._open(trial.config)  # its process did not even start
        text = str(trial.get_error() or "unknown error")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        self._end(trial.config["trial"], "failed", trial.last_result or {}, lines[-1])

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

    def _end(self, number: int, outcome: str, result: dict[str, Any], error: str | None) -> None:
        row = self._rows[number]
        final = outcome == "completed" and _comparable(result)
        row.update(status=outcome, end=datetime.now(UTC), error=error)
        if final:
            row.update(final_fid=result["fid"], final_bpd=result["bpd"])
        self._view.ended(number, outcome, result["fid"] if final else None)
        self._write_trial(row)

    def _open(self, config: dict[str, Any]) -> None:
        schedule = Schedule.from_dict(config["schedule"])
        row = self._rows[config["trial"]] = self._new_row(config, schedule)
        self._view.started(config["trial"], config["model"], str(schedule))
        self._write_trial(row)

    def _new_row(self, config: dict[str, Any], schedule: Schedule) -> dict[str, Any]:
        shared = self._shared.config
        steps = shared.steps_of(config["model"])
        shapes = {**shape_features(schedule), "clean_steps": clean_steps(schedule, steps)}
        return {
            "search": shared.name,
            "trial": config["trial"],
            "configuration": config["configuration"],
            "attempt": 1,
            "seed": config["seed"],
            "stage": "search",
            "model": config["model"],
            "dataset": shared.dataset,
            "family": schedule.family,
            **{f"params.{k}": v for k, v in schedule.to_dict()["params"].items()},
            "status": "running",
            "start": datetime.now(UTC),
            "end": None,
            "step": 0,
            "steps": steps,
            "error": None,
            "checkpoint": None,
            "final_fid": None,
            "final_bpd": None,
            **{f"shape.{name}": value for name, value in shapes.items()},
        }

    def _report(self, row: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        reference = self._shared.reference
        return {
            **{key: row[key] for key in _OF_THE_TRIAL},
            **{key: row[key] for key in row if key.startswith("params.")},
            **{name: result[name] for name in _MEASURED},
            "comparable": _comparable(result),
            "extractor": reference.extractor.name,
            "extractor_sha256": reference.extractor.sha256,
            "extractor_resize": reference.extractor.resize,
            "fid_samples": self._shared.plans[row["model"]].samples,
            "ema": self._shared.config.fid.ema or 0.0,
            "fid_reference": reference.split,
            "fid_reference_size": reference.count,
            "step_seconds": result["step_seconds"],
            "eval_seconds": result["eval_seconds"],
            "device": result["device"],
            "time": datetime.now(UTC),
        }

    def _write_decisions(self) -> None:
        for decision in (d for source in self._sources for d in source.take_decisions()):
            values = {"search": self._shared.config.name, **vars(decision)}
            self._guard(lambda values=values: self._store.decision(values))

    def _write_trial(self, row: dict[str, Any]) -> None:
        self._guard(lambda: self._store.trial(row))

    def _guard(self, write: Any) -> None:
        """Run a write; on failure remember it and ask Ray to end the search."""
        try:
            write()
        except StoreError as error:
            self.failure = self.failure or error
            self._stop.now = True


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
