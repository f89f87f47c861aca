"""Ray Tune's side of early stopping: hands each result to the policy, and its decision to Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ray.tune import Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from mollitune._errors import MollituneError
from mollitune.search.config import StoppingConfig
from mollitune.search.policy.comparability import Comparability
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.stopping import Observation, Run, Stopping
from mollitune.search.store.journal import END, REPORT, START, Event, Journal, JournalError
from mollitune.search.training.spec import Evaluation

RESULT_KEYS = (
    *(field.name for field in fields(Evaluation) if field.name != "samples"),
    "device",
)
"""Keys of a trial's results; Ray adds its own."""


class PolicyScheduler(FIFOScheduler):  # type: ignore[misc]
    """A Ray Tune scheduler that stops the runs which `Stopping` stops.

    Arguments:
        config: Early stopping of the search.
        seed: Seed of the search, for the audit.
        like: For each model what its FIDs have in common, besides the step.
        journal: The record; every result is in it before it is judged.
        stop: What to tell when the record cannot be written.

    Attributes:
        decisions: What was decided and not yet taken by the recorder.
        stopped: Numbers of the trials that were stopped.
    """

    def __init__(
        self,
        config: StoppingConfig,
        seed: int,
        like: Mapping[str, Comparability],
        journal: Journal,
        stop: StopAll,
    ) -> None:
        super().__init__()
        self._journal = journal
        self._stop = stop
        self._runs: dict[int, Run] = {}
        self._last: dict[int, dict[str, Any]] = {}
        self.stopped: set[int] = set()
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
        run = run_of(trial.config)
        if self._record(run.trial, result):
            self._judge(run, result)
        return str(TrialScheduler.STOP if run.trial in self.stopped else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Record the last result, which Ray does not have judged if the training is done."""
        self._record(trial.config["trial"], result)
        self._last.pop(trial.config["trial"], None)

    def fold(self, event: Event) -> None:
        """Judge a recorded result as when it came."""
        if event["event"] == START:
            run = run_of(event["config"])
            self._runs[run.trial] = run
        elif event["event"] == REPORT:
            self._last[event["trial"]] = event["result"]
            self._judge(self._runs[event["trial"]], event["result"])
        elif event["event"] == END:
            self._last.pop(event["trial"], None)

    def last_result(self, trial: int) -> dict[str, Any]:
        """Return the last recorded result of a trial, empty without one."""
        return self._last.get(trial, {})

    def is_over(self, trial: int) -> bool:
        """Return whether the record shows that a trial needs no more training."""
        last = self.last_result(trial)
        return trial in self.stopped or bool(last.get("failure")) or last.get("progress", 0) >= 1

    def _record(self, trial: int, result: Mapping[str, Any]) -> bool:
        """Write a result to the record, and return whether it is a new one.

        A trial that was started again repeats what it had reported since its checkpoint. The
        first value stays: decisions were taken on it.
        """
        if "step" not in result or result["step"] <= self.last_result(trial).get("step", 0):
            return False
        kept = recorded(result)
        try:
            self._journal.append(REPORT, trial, result=kept)
        except JournalError as error:
            self._stop.fail(error)
            return False
        self._last[trial] = kept
        return True

    def _judge(self, run: Run, result: Mapping[str, Any]) -> None:
        if result.get("failure") or "fid" not in result:
            return
        decision = self._stopping.judge(run, self._evaluation(run, result))
        if decision is None:
            return
        self.decisions.append(decision)
        if decision.action == "stop":
            self.stopped.add(run.trial)

    def take_decisions(self) -> list[Decision]:
        """Return the decisions since the last call."""
        taken, self.decisions = self.decisions, []
        return taken

    def debug_string(self) -> str:
        """Return the rule as text."""
        return f"PolicyScheduler with rule {self._stopping.rule}"

    def _evaluation(self, run: Run, result: Mapping[str, Any]) -> Observation:
        like = Comparability(**{**vars(self._like[run.model]), "step": result["step"]})
        return Observation(
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


def recorded(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the record keeps of a result that Ray Tune hands over."""
    return {name: result[name] for name in RESULT_KEYS if name in result}


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
