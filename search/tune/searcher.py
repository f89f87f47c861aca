"""Hands out the runs of a search, each with its numbers, seed, model and schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from mollitune._files import first_line
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.proposer import Proposal
from mollitune.search.store.journal import END, START, Event, JournalError

from .runs import OpenRun, proposal_of

_ROUNDING = 1e-6


class Proposing(Protocol):
    """Decides on the runs: a `Proposer`, or a `Confirmation`."""

    @property
    def exhausted(self) -> bool:
        """Whether there will be no more runs."""

    def next(self) -> Proposal | None:
        """Return the next run; None if there will be no more."""

    def started(self, proposal: Proposal) -> Sequence[Decision]:
        """Learn that a run was started, here or by an earlier driver; return why, if known."""

    def ended(
        self,
        trial: int,
        outcome: str,
        value: float | None,
        step: int,
        second: float | None = None,
    ) -> Sequence[Decision]:
        """Learn how a run ended, and return what was decided on that."""


class ScheduleSearcher:
    """Proposes runs, and learns from the record which were started and how they ended.

    Arguments:
        proposer: What decides on the runs.
        work: What all runs cost at most, in trainings of the search's own length: a run of twice
            that counts as two. The last one may go beyond.
        shortest: What the shortest run costs.
    """

    def __init__(self, proposer: Proposing, work: float, shortest: float = 1.0) -> None:
        self._proposer = proposer
        self._left = work
        self._shortest = shortest

    @property
    def left(self) -> int:
        """New runs that are still to be proposed, at most."""
        most = max(0, math.ceil((self._left - _ROUNDING) / self._shortest))
        return 0 if self._proposer.exhausted else most

    def propose(self) -> Proposal | None:
        """Return the next new run; None if there is none.

        It counts once the record has its start, see `apply`.
        """
        proposal = self._proposer.next() if self._left > _ROUNDING else None
        if proposal is None:
            self._left = 0
        return proposal

    def apply(self, event: Event, run: OpenRun) -> Sequence[Decision]:
        """Learn from an event, and return what was decided on that.

        What was started counts, whatever would be proposed now: other processors round
        differently.

        Raises:
            JournalError: If the record is not one of this search.
        """
        if event["event"] == START:
            return self._started(event)
        if event["event"] == END:
            outcome, value = event["outcome"], event["value"]
            if outcome == "completed" and value is None:
                outcome = "failed"  # mollified to the very end: its FID measures the noise
            return self._proposer.ended(
                event["trial"], outcome, value, event["step"], event.get("second")
            )
        return ()

    def _started(self, event: Event) -> Sequence[Decision]:
        try:
            proposal = proposal_of(event)
            decisions = self._proposer.started(proposal)
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(
                f"the record starts trial {event['trial']} in a way that this search would not "
                f"({first_line(error)}); restore it from a backup"
            ) from error
        self._left -= proposal.configuration.scale
        return decisions
