"""Early stopping: hands each recorded result to the policy, and keeps whom it stopped."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from mollitune.search.policy.comparability import Comparability, age_of
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.stopping import Observation, Run, Stopping
from mollitune.search.store.journal import END, REPORT, Event
from mollitune.search.store.objective import FID, Objective

from .runs import OpenRun, run_of


class Judging(Protocol):
    """Judges results: a `PolicyScheduler`, or one that is plugged in."""

    @property
    def stopped(self) -> Collection[int]:
        """Numbers of the trials that were stopped and whose end is not recorded yet."""

    def apply(self, event: Event, run: OpenRun) -> Sequence[Decision]:
        """Judge a result, and return what was decided."""


class PolicyScheduler:
    """Stops the runs which `Stopping` stops.

    Arguments:
        stopping: The rule.
        like: For each model what its values have in common, besides the age.
        objective: What the search minimises.

    Attributes:
        stopped: Numbers of the trials that were stopped and whose end is not recorded yet.
    """

    def __init__(
        self,
        stopping: Stopping,
        like: Mapping[str, Comparability],
        objective: Objective = FID,
    ) -> None:
        self._stopping = stopping
        self._objective = objective
        self._like = dict(like)
        self.stopped: set[int] = set()

    def apply(self, event: Event, run: OpenRun) -> Sequence[Decision]:
        """Judge a result, and return what was decided."""
        if event["event"] == END:
            self.stopped.discard(event["trial"])
        if event["event"] != REPORT:
            return ()
        result = event["result"]
        if result.get("failure") or "fid" not in result:
            return ()
        own = run_of(run.config)
        scale = run.config.get("scale", 1.0)
        decision = self._stopping.judge(own, self._observation(own, result, scale))
        if decision is None:
            return ()
        if decision.action == "stop":
            self.stopped.add(own.trial)
        return (decision,)

    def _observation(self, run: Run, result: Mapping[str, Any], scale: float) -> Observation:
        value, like = self._objective.of(result), self._like[run.model]
        return Observation(
            step=result["step"],
            progress=result["progress"],
            phase=result["phase"],
            value=math.nan if value is None else value,
            probe_fid=result["probe_fid"],
            like=replace(like, age=age_of(result["progress"]), budget=round(scale * like.budget)),
        )
