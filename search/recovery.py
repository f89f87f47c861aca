"""Brings a search back to where its record ends."""

from __future__ import annotations

from .journal import Journal
from .recorder import Recorder
from .sampler import ScheduleSearcher
from .stopping import PolicyScheduler


def fold(
    journal: Journal,
    searcher: ScheduleSearcher,
    scheduler: PolicyScheduler,
    recorder: Recorder,
) -> None:
    """Bring policy and tables to where the record ends, and queue what had not ended.

    A run whose last result or decision ends it, but whose end was not recorded any more, ends
    here.

    Raises:
        JournalError: If the record is not that of this config and version.
    """
    for event in journal.take():
        searcher.fold(event)
        scheduler.fold(event)
        recorder.fold(event)
    recorder.folded()
    for config in searcher.reissue():
        trial = config["trial"]
        if scheduler.is_over(trial):
            recorder.fold(searcher.end(trial, scheduler.last_result(trial)))
    searcher.reissue()
