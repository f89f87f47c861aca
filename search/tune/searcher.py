"""Ray Tune's side of the search: hands the policy's runs to Ray, and their ends to the policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from ray.tune.search import Searcher

from mollitune.search.policy.decision import Decision
from mollitune.search.policy.proposer import Proposal
from mollitune.search.store.journal import END, START, Event, Journal, JournalError

from .scheduler import StopAll


class Proposing(Protocol):
    """Decides on the runs: a `Proposer`, or a `Confirmation`."""

    @property
    def exhausted(self) -> bool:
        """Whether there will be no more runs."""

    def next(self) -> Proposal | None:
        """Return the next run; None if there will be no more."""

    def ended(self, trial: int, outcome: str, value: float | None, step: int) -> None:
        """Learn how a run ended."""

    def take_decisions(self) -> list[Decision]:
        """Return the decisions since the last call."""


class ScheduleSearcher(Searcher):  # type: ignore[misc]
    """Hands Ray Tune the runs of a search, each with its numbers, seed, model and schedule.

    Every start and end is in the record before the policy acts on it.

    Arguments:
        proposer: What decides on the runs.
        runs: How many there are, at most.
        journal: The record.
        stop: Whether the whole search is being ended, so that no run was stopped for itself.
    """

    def __init__(
        self,
        proposer: Proposing,
        runs: int,
        journal: Journal,
        stop: StopAll,
    ) -> None:
        super().__init__(metric="fid", mode="min")
        self._left = runs
        self._proposer = proposer
        self._journal = journal
        self._stop = stop
        self._trials: dict[str, int] = {}
        self._open: dict[int, dict[str, Any]] = {}
        self._again: list[dict[str, Any]] = []

    def fold(self, event: Event) -> None:
        """Learn from a recorded event as when it happened.

        Raises:
            JournalError: If the record is not that of this config and version.
        """
        if event["event"] == START:
            proposal = self._propose()
            made = None if proposal is None else trial_config(proposal)
            if made != event["config"]:
                raise JournalError(
                    f"the record starts trial {event['trial']} with {event['config']}, but this "
                    f"version and config would start it with {made}; resume with the version that "
                    "search.json names"
                )
        elif event["event"] == END:
            self._end(event["trial"], event["outcome"], event["value"], event["step"])

    def reissue(self) -> list[dict[str, Any]]:
        """Queue the runs that never ended to be started again, and return them."""
        self._again = list(self._open.values())
        return list(self._again)

    @property
    def left(self) -> int:
        """Runs that are still to be handed out, at most."""
        new = 0 if self._proposer.exhausted else self._left
        return new + len(self._again)

    @property
    def cut_off(self) -> bool:
        """Whether the whole search is being ended."""
        return self._stop.now

    @property
    def finished(self) -> bool:
        """Whether every run was handed out and has ended."""
        return self.left == 0 and not self._open

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial's config, or ``FINISHED`` when all have been given."""
        config = self.take()
        if config is not None:
            self._trials[trial_id] = config["trial"]
            return dict(config)
        return None if self._stop.now else str(Searcher.FINISHED)

    def take(self) -> dict[str, Any] | None:
        """Return the config of the next run to start; None if there is none."""
        return self._again.pop(0) if self._again else self._new()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the policy how the trial ended; unknown trials are ignored."""
        if trial_id in self._trials:
            self.ended(self._trials.pop(trial_id), result or {}, error)

    def ended(self, trial: int, last: Mapping[str, Any], error: bool = False) -> None:
        """Learn that a run has ended; one that was cut off with the whole search has not."""
        if self._stop.now:
            return
        try:
            self.end(trial, last, error)
        except JournalError as failure:
            self._stop.fail(failure)

    def end(self, trial: int, last: Mapping[str, Any], error: bool = False) -> Event:
        """Record that a run has ended with this last result, and learn from it."""
        fid = last.get("fid")
        value = fid if fid is not None and math.isfinite(fid) else None
        outcome = "failed" if error else outcome_of(last)
        usable = value if last.get("phase") == "clean" else None
        step = last.get("step", 0)
        event = self._journal.append(END, trial, outcome=outcome, value=usable, step=step)
        self._end(trial, outcome, usable, step)
        return event

    def take_decisions(self) -> list[Decision]:
        """Return what was decided on runs since the last call."""
        return self._proposer.take_decisions()

    def _new(self) -> dict[str, Any] | None:
        """Return the config of a run that was not proposed before; None if there is none."""
        proposal = self._propose()
        if proposal is None:
            return None
        config = trial_config(proposal)
        try:
            self._journal.append(START, config["trial"], config=config)
        except JournalError as error:
            self._stop.fail(error)
            return None
        return config

    def _propose(self) -> Proposal | None:
        proposal = self._proposer.next() if self._left else None
        if proposal is None:
            self._left = 0
            return None
        self._left -= 1
        self._open[proposal.run.trial] = trial_config(proposal)
        return proposal

    def _end(self, trial: int, outcome: str, value: float | None, step: int) -> None:
        del self._open[trial]
        if outcome == "completed" and value is None:
            outcome = "failed"  # mollified to the very end: its FID measures the noise
        self._proposer.ended(trial, outcome, value, step)

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: a search is resumed from its own tables, not from Ray's snapshots."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, see `save`."""


def trial_config(proposal: Proposal) -> dict[str, Any]:
    """Return a run as the plain config of a Ray Tune trial."""
    run = proposal.run
    return {
        "trial": run.trial,
        "configuration": run.configuration,
        "repeat": run.repeat,
        "seed": proposal.seed,
        "model": run.model,
        "schedule": proposal.schedule.to_dict(),
    }


def outcome_of(result: Mapping[str, Any]) -> str:
    """Return ``completed``, ``stopped`` or ``failed`` from the last result of a trial."""
    fid = result.get("fid")
    if result.get("failure") or fid is None:
        return "failed"
    if result["progress"] < 1:
        return "stopped"
    return "completed" if math.isfinite(fid) else "failed"
