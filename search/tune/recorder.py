"""Brings what happened in a search into its tables."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from mollitune._errors import MollituneError
from mollitune.schedules import Schedule, shape_features
from mollitune.search.policy.decision import Decision
from mollitune.search.store.comparable import is_comparable
from mollitune.search.store.evaluation import measured
from mollitune.search.store.journal import END, ERROR, REPORT, RESTART, START, Event, time_of
from mollitune.search.store.schema import KEYS
from mollitune.search.store.writer import Store

from .context import Context
from .faults import UNKNOWN_ERROR
from .runs import OpenRun

NOT_FINITE = "FID at full budget is not finite"
_OF_THE_TRIAL = (
    *("search", "trial", "configuration", "attempt", "seed", "stage"),
    *("model", "dataset", "family", "budget", "scale"),
)


class Recorder:
    """Writes to the result tables what the record says.

    Rows that a killed driver had not written yet are written when the search is resumed. A store
    that fails ends the search instead of Ray's event loop.

    Arguments:
        store: The result tables.
        context: Config, data and reference of the search.
        fail: What to tell when results can no longer be written.
    """

    def __init__(
        self, store: Store, context: Context, fail: Callable[[MollituneError], None]
    ) -> None:
        self._store = store
        self._context = context
        self._fail = fail
        self._rows: dict[int, dict[str, Any]] = {}
        self._same: dict[int, dict[str, Any]] = {}  # what each report of an open run repeats
        self._written = store.keys("decisions")
        # rows of the tables that no event was seen of yet: all before the record is read, then the
        # few that a driver wrote which was killed before it had written down why
        self._reported = store.keys("reports")

    @property
    def outcomes(self) -> list[str]:
        """Status of every trial that was started."""
        return [row["status"] for row in self._rows.values()]

    @property
    def failures(self) -> list[str]:
        """Why trials failed, one reason for each that did."""
        return [row["error"] for row in self._rows.values() if row["status"] == "failed"]

    def apply(self, event: Event, run: OpenRun) -> None:
        """Bring an event into the tables, unless it is there already."""
        kind, time = event["event"], time_of(event)
        if kind == START:
            row = self._rows[event["trial"]] = self._new_row(run.config, time)
            self._same[event["trial"]] = self._repeated(row, run)
        row = self._rows[event["trial"]]
        if kind == REPORT:
            self._evaluated(row, event["result"], time)
            return
        if kind == RESTART:
            row["attempt"] += 1
        elif kind == ERROR:
            row["error"] = event["text"]
        elif kind == END:
            self._end(row, event["outcome"], run, time)
            self._same.pop(event["trial"], None)
        self._guard(lambda: self._store.trial(row))

    def decided(self, decision: Decision) -> None:
        """Write a decision unless its key is in the table: the first one stays."""
        row = {"search": self._context.config.name, **vars(decision)}
        key = tuple(row[name] for name in KEYS["decisions"])
        if key not in self._written:
            self._written.add(key)
            self._guard(lambda: self._store.decision(row))

    def flush_if_due(self) -> None:
        """Write what has waited long enough."""
        self._guard(self._store.flush_if_due)

    def close(self) -> None:
        """Mark trials that never ended as interrupted and write everything.

        Raises:
            StoreError: If the rows cannot be written.
        """
        for row in self._rows.values():
            if row["status"] == "running":
                row.update(status="interrupted", end=datetime.now(UTC))
                self._store.trial(row)
        self._store.close()

    def _evaluated(self, row: dict[str, Any], result: Mapping[str, Any], time: datetime) -> None:
        row["step"] = result["step"]
        key = (row["search"], row["trial"], result["step"])
        known = key in self._reported
        self._reported.discard(key)  # one key per report would grow without end
        # without FID the training diverged between two evaluations
        if "fid" in result and not known:
            self._guard(lambda: self._store.report(self._report(row, result, time)))

    def _end(self, row: dict[str, Any], outcome: str, run: OpenRun, time: datetime) -> None:
        last = run.last
        error = run.error or last.get("failure")
        if outcome == "failed" and error is None:
            error = NOT_FINITE if last.get("progress", 0) >= 1 else UNKNOWN_ERROR
        row.update(status=outcome, end=time, error=error)
        if outcome == "completed" and _comparable(last):
            row.update(final_fid=last["fid"], final_bpd=last["bpd"])

    def _new_row(self, config: Mapping[str, Any], time: datetime) -> dict[str, Any]:
        schedule, context = Schedule.from_dict(config["schedule"]), self._context.config
        settings, scale = config.get("settings", {}), config.get("scale", 1.0)
        steps = context.steps_of(config["model"], settings, scale)
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
            **{f"params.{k}": v for k, v in settings.items()},
            "budget": context.images_of(config["model"], scale),
            "scale": scale,
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

    def _repeated(self, row: dict[str, Any], run: OpenRun) -> dict[str, Any]:
        reference, plan = self._context.reference, self._context.plans[row["model"]]
        return {
            **{key: row[key] for key in _OF_THE_TRIAL},
            **{key: row[key] for key in row if key.startswith("params.")},
            "extractor": reference.extractor.name,
            "extractor_sha256": reference.extractor.sha256,
            "extractor_resize": reference.extractor.resize,
            "fid_samples": plan.samples,
            "fid_final": str(plan.final),
            "ema": self._context.spec(run.config).training.ema or 0.0,
            "fid_reference": reference.split,
            "fid_reference_size": reference.count,
        }

    def _report(
        self, row: dict[str, Any], result: Mapping[str, Any], time: datetime
    ) -> dict[str, Any]:
        return {
            **self._same[row["trial"]],
            **measured(result),
            "attempt": row["attempt"],
            "comparable": _comparable(result),
            "device": result["device"],
            "time": time,
        }

    def _guard(self, write: Callable[[], None]) -> None:
        """Run a write; a failure is for the search to end with."""
        try:
            write()
        except MollituneError as error:
            self._fail(error)


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


def _comparable(result: Mapping[str, Any]) -> bool:
    fid = result["fid"]
    finite = fid if math.isfinite(fid) and not result.get("failure") else None
    return is_comparable(result["progress"], result["phase"], finite)
