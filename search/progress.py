"""What a person sees while the search runs: a live panel, or plain lines without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


@dataclass
class Line:
    """One running trial as shown."""

    model: str
    schedule: str
    progress: float = 0.0
    fid: float | None = None
    phase: str = ""


@dataclass
class Tally:
    """Counts and bests of a search so far; pure state, so that tests can look at it.

    Arguments:
        total: Trials of the whole search.
        clock: Monotonic clock in seconds.
    """

    total: int
    clock: Callable[[], float] = time.monotonic
    ended: dict[str, int] = field(
        default_factory=lambda: {"completed": 0, "stopped": 0, "failed": 0}
    )
    running: dict[int, Line] = field(default_factory=dict)
    best: dict[str, tuple[float, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._start = self.clock()

    @property
    def done(self) -> int:
        """Trials that have ended, however."""
        return sum(self.ended.values())

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self._start

    def left(self) -> float | None:
        """Return the seconds left at the pace so far; None before the first trial has ended."""
        if not self.done:
            return None
        part = sum(line.progress for line in self.running.values())
        return self.elapsed * (self.total - self.done - part) / (self.done + part)

    def end(self, trial: int, outcome: str, fid: float | None) -> Line:
        """Count a trial out and return its last line; a comparable ``fid`` may be the best."""
        line = self.running.pop(trial)
        self.ended[outcome] += 1
        if fid is not None and fid < self.best.get(line.model, (float("inf"), ""))[0]:
            self.best[line.model] = (fid, line.schedule)
        return line


class ProgressView:
    """Shows a search as it goes on.

    Arguments:
        total: Trials of the whole search.
        console: Where to write; a terminal gets a live panel, anything else plain lines.
    """

    def __init__(self, total: int, console: Console) -> None:
        self.tally = Tally(total)
        self._console = console
        self._live: Live | None = None
        self._silent = False

    def __enter__(self) -> ProgressView:
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._panel, console=self._console)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __getstate__(self) -> dict[str, object]:
        # Ray pickles its callbacks; a terminal stays where it is
        return {"tally": self.tally, "_console": None, "_live": None, "_silent": True}

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Count what is told meanwhile, but print nothing: it was printed when it happened."""
        self._silent = True
        yield
        self._silent = False

    def started(self, trial: int, model: str, schedule: str) -> None:
        """Show a trial as running."""
        self.tally.running[trial] = Line(model, schedule)

    def evaluated(self, trial: int, progress: float, fid: float, phase: str) -> None:
        """Show a trial's last evaluation."""
        line = self.tally.running[trial]
        line.progress, line.fid, line.phase = progress, fid, phase

    def ended(self, trial: int, outcome: str, fid: float | None) -> None:
        """Count a trial out; without a terminal this prints a line."""
        line = self.tally.end(trial, outcome, fid)
        if self._live is None and not self._silent:
            self._console.print(self._plain(trial, outcome, line), highlight=False, soft_wrap=True)

    def _plain(self, trial: int, outcome: str, line: Line) -> str:
        value = "" if line.fid is None else f", FID {line.fid:.2f} at {line.progress:.0%}"
        left = self.tally.left()
        time_left = "" if left is None else f"; {duration(left)} left"
        return (
            f"[{self.tally.done}/{self.tally.total}] trial {trial} {outcome}: {line.model}, "
            f"{line.schedule}{value}{time_left}"
        )

    def _panel(self) -> RenderableType:
        tally = self.tally
        left = tally.left()
        head = Text.assemble(
            (f"{tally.done}/{tally.total} trials  ", "bold"),
            f"{tally.ended['completed']} completed, {tally.ended['stopped']} stopped early, "
            f"{tally.ended['failed']} failed  ",
            (f"{duration(tally.elapsed)} gone", "dim"),
            ("" if left is None else f", {duration(left)} left", "dim"),
        )
        table = Table("", "model", "schedule", "progress", "FID", box=None, pad_edge=False)
        for trial, line in sorted(tally.running.items()):
            fid = "" if line.fid is None else f"{line.fid:.2f} ({line.phase})"
            table.add_row(f"trial {trial}", line.model, line.schedule, f"{line.progress:.0%}", fid)
        for model, (fid_best, schedule) in sorted(tally.best.items()):
            row = (Text(t, "green") for t in ("best", model, schedule, "100%", f"{fid_best:.2f}"))
            table.add_row(*row)
        return Group(head, ProgressBar(total=tally.total, completed=tally.done, width=60), table)


def duration(seconds: float) -> str:
    """Return seconds as ``h:mm:ss`` or ``m:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
