"""All that follows from the record: searcher, scheduler, tables and view, fed event by event.

Live and on resume the same method is called with the same events, so that a search that was killed
goes on exactly as one that was not.
"""

from __future__ import annotations

from collections.abc import Iterable

from mollitune.search.store.journal import END, ERROR, REPORT, START, Event
from mollitune.search.terminal import ProgressView

from .recorder import Recorder
from .runs import OpenRun
from .scheduler import Judging
from .searcher import ScheduleSearcher


class Fold:
    """Brings events to everything that follows from them, in one order.

    Arguments:
        searcher: What hands out the runs.
        scheduler: What stops them.
        recorder: What keeps the tables.
        view: What a person sees.

    Attributes:
        open: The runs that have not ended, by trial.
    """

    def __init__(
        self,
        searcher: ScheduleSearcher,
        scheduler: Judging,
        recorder: Recorder,
        view: ProgressView,
    ) -> None:
        self.searcher = searcher
        self.scheduler = scheduler
        self.recorder = recorder
        self.view = view
        self.open: dict[int, OpenRun] = {}

    def apply(self, event: Event) -> None:
        """Let everything learn from an event.

        Raises:
            JournalError: If the record is not that of this config and version.
        """
        run = self._run(event)
        decisions = [*self.searcher.apply(event, run), *self.scheduler.apply(event, run)]
        self.recorder.apply(event, run)
        self.view.apply(event, run.config)
        for decision in decisions:
            self.recorder.decided(decision)
        if event["event"] == END:
            del self.open[event["trial"]]

    def replay(self, events: Iterable[Event]) -> None:
        """Let everything learn from what was recorded; errors as for `apply`."""
        with self.view.silent():
            for event in events:
                self.apply(event)

    def is_over(self, trial: int) -> bool:
        """Return whether the record shows that an open run needs no more training."""
        last = self.open[trial].last
        failed = bool(last.get("failure"))
        return failed or last.get("progress", 0) >= 1 or trial in self.scheduler.stopped

    def _run(self, event: Event) -> OpenRun:
        number = event["trial"]
        if event["event"] == START:
            self.open[number] = OpenRun(event["config"])
        # records of before tell the error of a run after its end
        run = self.open.get(number) or OpenRun({})
        if event["event"] == REPORT:
            run.last = event["result"]
        elif event["event"] == ERROR:
            run.error = event["text"]
        return run
