"""Ray Tune's side of early stopping: hands each result to the policy, and its decision to Ray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from .config import StoppingConfig
from .policy.decision import Decision
from .policy.likeness import Likeness
from .policy.stopping import Evaluation, Run, Stopping


class PolicyScheduler(FIFOScheduler):  # type: ignore[misc]
    """A Ray Tune scheduler that stops the runs which `Stopping` stops.

    Arguments:
        config: Early stopping of the search.
        seed: Seed of the search, for the audit.
        like: For each model what its FIDs have in common, besides the step.

    Attributes:
        decisions: What was decided and not yet taken by the recorder.
    """

    def __init__(self, config: StoppingConfig, seed: int, like: Mapping[str, Likeness]) -> None:
        super().__init__()
        self._stopping = Stopping(
            config.rule,
            config.marks,
            config.reduction_factor,
            config.min_competitors,
            config.audit,
            seed,
        )
        self._like = dict(like)
        self.decisions: list[Decision] = []

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return Ray's ``STOP`` or ``CONTINUE`` for a result."""
        if result.get("failure"):
            return str(TrialScheduler.CONTINUE)
        run = run_of(trial.config)
        decision = self._stopping.judge(run, self._evaluation(run, result))
        if decision is None:
            return str(TrialScheduler.CONTINUE)
        self.decisions.append(decision)
        return str(TrialScheduler.STOP if decision.action == "stop" else TrialScheduler.CONTINUE)

    def take_decisions(self) -> list[Decision]:
        """Return the decisions since the last call."""
        taken, self.decisions = self.decisions, []
        return taken

    def debug_string(self) -> str:
        """Return the rule as text."""
        return f"PolicyScheduler with rule {self._stopping.rule}"

    def _evaluation(self, run: Run, result: Mapping[str, Any]) -> Evaluation:
        like = Likeness(**{**vars(self._like[run.model]), "step": result["step"]})
        return Evaluation(
            result["step"],
            result["progress"],
            result["phase"],
            result["fid"],
            result["probe_fid"],
            like,
        )


def run_of(config: Mapping[str, Any]) -> Run:
    """Return what the policy knows a trial by, from the trial's config."""
    return Run(
        trial=config["trial"],
        configuration=config["configuration"],
        model=config["model"],
        repeat=config["repeat"],
        vanilla=config["schedule"]["family"] == "vanilla",
    )
