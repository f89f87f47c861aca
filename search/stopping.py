"""Early stopping that never ranks unlike values: ASHA on clean FID, at equal age, late.

While the training data are still mollified, FID measures the leftover noise and not the model
(its rank correlation with the noise variance is above .9), so stock ASHA promotes the lightest
schedules whatever they lead to. Here a rung takes only values of trials whose data are clean by
then, all of the same model at the same step; a trial that is still mollified passes, unjudged.

| A System for Massively Parallel Hyperparameter Tuning (Li et al., 2020)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from .config import StoppingConfig

_TOLERANCE = 0.01


@dataclass(frozen=True)
class Decision:
    """What a rung decided on one trial; the fields are columns of ``decisions``."""

    trial: int
    step: int
    progress: float
    rung: int
    action: str
    value: float | None
    cutoff: float | None
    competitors: int
    phase: str
    reason: str
    time: datetime


class Rungs:
    """The rungs of ASHA for progress in (0, 1): at grace, grace * eta, grace * eta^2, ...

    Arguments:
        grace: Progress of the first rung, in (0, 1].
        eta: Reduction factor, > 1: about 1/eta of the values on a rung go on.
        min_competitors: Fewer values on a rung stop nobody.

    Example:
        >>> Rungs(grace=0.25, eta=2, min_competitors=3).marks
        (0.25, 0.5)
    """

    def __init__(self, grace: float, eta: float, min_competitors: int) -> None:
        marks = []
        while grace < 1:
            marks.append(grace)
            grace *= eta
        self.marks = tuple(marks)
        self._eta = eta
        self._min_competitors = min_competitors
        self._values: defaultdict[tuple[str, int, int], list[float]] = defaultdict(list)

    def passed(self, before: float, now: float) -> int | None:
        """Return the highest rung in (before, now], or None; a lower one is never filled later."""
        # evaluations fall on whole steps, so one may come a little before the rung
        found = [i for i, mark in enumerate(self.marks) if before < mark - _TOLERANCE <= now]
        return found[-1] if found else None

    def judge(self, rung: int, result: Mapping[str, Any], baseline: bool) -> tuple[str, str, Any]:
        """Decide on a trial at a rung and, if its value is fit, record it.

        Arguments:
            rung: Index of the rung.
            result: A row of the trial: model, step, phase and fid.
            baseline: Whether the trial must go on as the yardstick of the others.

        Returns:
            Action (``stop``, ``continue`` or ``skip``), reason, and the cutoff or None.
        """
        if result["phase"] != "clean":
            return "skip", "training data still mollified: the value does not compare", None
        if not math.isfinite(result["fid"]):
            return "stop", "FID is not finite on clean data", None
        values = self._values[result["model"], rung, result["step"]]
        values.append(result["fid"])
        if len(values) < self._min_competitors:
            return "continue", f"fewer than {self._min_competitors} values on this rung", None
        cutoff = float(np.quantile(values, 1 / self._eta))
        if baseline:
            return "continue", "vanilla is the baseline and is never stopped", cutoff
        if result["fid"] <= cutoff:
            return "continue", f"among the best 1/{self._eta:g} of this rung", cutoff
        return "stop", f"not among the best 1/{self._eta:g} of this rung", cutoff

    def competitors(self, rung: int, result: Mapping[str, Any]) -> int:
        """Return how many values of the same model and step the rung holds."""
        return len(self._values.get((result["model"], rung, result["step"]), ()))


class CleanASHA(FIFOScheduler):  # type: ignore[misc]
    """Ray Tune's side of `Rungs`: judges each result once, and keeps the decisions to be stored.

    Arguments:
        config: Early stopping of the search; with policy ``none`` every trial is trained fully.

    Attributes:
        decisions: What was decided and not yet taken by the recorder.
    """

    def __init__(self, config: StoppingConfig) -> None:
        super().__init__()
        grace = config.grace if config.policy == "asha" else 1.0
        self._rungs = Rungs(grace, config.reduction_factor, config.min_competitors)
        self._progress: dict[int, float] = {}
        self.decisions: list[Decision] = []

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return Ray's ``STOP`` or ``CONTINUE`` for a result."""
        number = trial.config["trial"]
        if result.get("failure"):
            return str(TrialScheduler.CONTINUE)
        before = self._progress.get(number, 0.0)
        self._progress[number] = max(before, result["progress"])
        rung = self._rungs.passed(before, result["progress"])
        if rung is None or result["progress"] >= 1:
            return str(TrialScheduler.CONTINUE)
        baseline = trial.config["schedule"]["family"] == "vanilla"
        row = {**result, "model": trial.config["model"]}
        action, reason, cutoff = self._rungs.judge(rung, row, baseline)
        self.decisions.append(
            Decision(
                trial=number,
                step=result["step"],
                progress=result["progress"],
                rung=rung,
                action=action,
                value=result["fid"],
                cutoff=cutoff,
                competitors=self._rungs.competitors(rung, row),
                phase=result["phase"],
                reason=reason,
                time=datetime.now(UTC),
            )
        )
        return str(TrialScheduler.STOP if action == "stop" else TrialScheduler.CONTINUE)

    def take_decisions(self) -> list[Decision]:
        """Return the decisions since the last call."""
        taken, self.decisions = self.decisions, []
        return taken

    def debug_string(self) -> str:
        """Return the rungs as text."""
        return f"CleanASHA with rungs at progress {self._rungs.marks}"
