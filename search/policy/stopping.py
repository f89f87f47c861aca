"""The early stopping of a search: rungs, what they spare, and the audit of what they stop."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from .comparability import Comparability, Value
from .decision import Decision
from .rules import rule as find_rule
from .rungs import Rungs

NO_BRANCH = "no cooldown branch was measured here"


@dataclass(frozen=True)
class Run:
    """A complete training of a configuration with one seed, as the policy sees it.

    Arguments:
        trial: Number of the trial.
        configuration: Number of its configuration: model, hyperparameters and schedule.
        model: Name of the model.
        repeat: How many runs of the configuration were started before it.
        baseline: Whether it is of the vanilla that the others are compared with.
    """

    trial: int
    configuration: int
    model: str
    repeat: int = 0
    baseline: bool = False

    @property
    def protected(self) -> str | None:
        """Why the run must not be stopped, or None."""
        if self.baseline:
            return "vanilla is the baseline and is never stopped"
        return None


@dataclass(frozen=True)
class Observation:
    """What was measured of a run at one step.

    Arguments:
        step: Training steps.
        progress: Share of the training that is done.
        phase: ``mollified`` or ``clean``.
        value: What the search minimises, such as FID; NaN if it is not finite.
        probe_fid: FID after a cooldown branch, or None without one.
        like: What the value of this step compares with.
    """

    step: int
    progress: float
    phase: str
    value: float
    probe_fid: float | None
    like: Comparability


class Stopping:
    """Judges every evaluation of a configuration's first run once; repeated runs go to the end.

    Arguments:
        rule: Name of a stopping rule, or ``module:Class``.
        marks: Progress of the rungs.
        eta: About 1/eta of a rung goes on.
        least: Fewer values on a rung stop nobody.
        audit: Share of the runs to be stopped that go on, so that one sees what stopping costs.
        seed: Seed of the audit's draws.

    Raises:
        ValueError: If there is no such rule.
    """

    def __init__(
        self, rule: str, marks: tuple[float, ...], eta: float, least: int, audit: float, seed: int
    ) -> None:
        self.rule = find_rule(rule)
        self._rungs = Rungs(marks, eta, least, self.rule.judge)
        self._audit = audit
        self._seed = seed
        self._progress: dict[int, float] = {}
        self._audited: set[int] = set()

    def judge(self, run: Run, evaluation: Observation) -> Decision | None:
        """Return the decision on an evaluation, or None if it is at no rung.

        Raises:
            UnlikeValuesError: If values were measured in different ways.
        """
        before = self._progress.get(run.trial, 0.0)
        self._progress[run.trial] = max(before, evaluation.progress)
        rung = self._rungs.passed(before, evaluation.progress)
        # repeated runs are those of good configurations: on a rung they would harden it
        if rung is None or evaluation.progress >= 1 or run.repeat:
            return None
        probes = self.rule.probes
        value = evaluation.probe_fid if probes else evaluation.value
        skip = NO_BRANCH if value is None else self.rule.skips(value, evaluation.phase)
        if value is None or skip is not None:
            return self._decision(run, evaluation, rung, "skip", value, None, 0, skip or NO_BRANCH)
        like = replace(evaluation.like, probe=probes)
        verdict = self._rungs.judge(rung, Value(value, evaluation.phase, like), run.protected)
        action, reason = verdict.action, verdict.reason
        if action == "stop" and verdict.cutoff is not None and self._is_audited(run):
            action, reason = "audit", f"{reason}; continues, as a check of the policy"
        return self._decision(
            run, evaluation, rung, action, value, verdict.cutoff, verdict.competitors, reason
        )

    def _is_audited(self, run: Run) -> bool:
        # drawn per run and not in turn, so that a resumed search draws the same
        if run.trial not in self._audited:
            draw = random.Random(f"audit {self._seed} {run.trial}").random()
            if draw < self._audit:
                self._audited.add(run.trial)
        return run.trial in self._audited

    def _decision(
        self,
        run: Run,
        evaluation: Observation,
        rung: int,
        action: str,
        value: float | None,
        cutoff: float | None,
        competitors: int,
        reason: str,
    ) -> Decision:
        return Decision(
            trial=run.trial,
            configuration=run.configuration,
            step=evaluation.step,
            progress=evaluation.progress,
            policy=self.rule.name,
            rung=rung,
            action=action,
            value=value,
            cutoff=cutoff,
            competitors=competitors,
            phase=evaluation.phase,
            reason=reason,
        )
