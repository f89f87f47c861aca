"""Hands out the runs of a search, each with its numbers, seed, model and schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mollitune.search.policy.decision import Decision
from mollitune.search.policy.proposer import Proposal
from mollitune.search.store.journal import END, START, Event, JournalError

from .runs import OpenRun, trial_config


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


class ScheduleSearcher:
    """Proposes runs, and learns from the record which were started and how they ended.

    Arguments:
        proposer: What decides on the runs.
        runs: How many there are, at most.
    """

    def __init__(self, proposer: Proposing, runs: int) -> None:
        self._proposer = proposer
        self._new = runs
        self._proposed: dict[str, Any] | None = None

    @property
    def left(self) -> int:
        """New runs that are still to be proposed, at most."""
        return 0 if self._proposer.exhausted else self._new

    def propose(self) -> dict[str, Any] | None:
        """Return the config of the next new run; None if there is none.

        It counts once the record has its start, see `apply`.
        """
        proposal = self._proposer.next() if self._new else None
        self._proposed = None if proposal is None else trial_config(proposal)
        if proposal is None:
            self._new = 0
        return self._proposed

    def apply(self, event: Event, run: OpenRun) -> Sequence[Decision]:
        """Learn from an event, and return what was decided on that.

        Raises:
            JournalError: If the record is not that of this config and version.
        """
        if event["event"] == START:
            self._started(event)
        elif event["event"] == END:
            outcome, value = event["outcome"], event["value"]
            if outcome == "completed" and value is None:
                outcome = "failed"  # mollified to the very end: its FID measures the noise
            self._proposer.ended(event["trial"], outcome, value, event["step"])
        return self._proposer.take_decisions()

    def _started(self, event: Event) -> None:
        made = self._proposed or self.propose()
        if made != event["config"]:
            raise JournalError(
                f"the record starts trial {event['trial']} with {event['config']}, but this "
                f"version and config would start it with {made}; resume with the version that "
                "search.json names"
            )
        self._new -= 1
        self._proposed = None
