"""What a person sees while the search runs: a live panel, or plain lines without a terminal."""

from __future__ import annotations

import contextlib
import io
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mollitune.analysis.words import fid_text, run_name
from mollitune.search.policy import Configuration

from .store.evaluation import Evaluation
from .store.journal import END, REPORT, RESTART, START, Event
from .store.objective import FID, Objective

_WIDE = 110  # columns of a terminal from which on a trial takes one line


@dataclass
class Line:
    """One running trial as shown."""

    model: str
    schedule: str
    scale: float = 1.0
    progress: float = 0.0
    value: float | None = None
    phase: str = ""


@dataclass
class Tally:
    """Counts and bests of a search so far; pure state, so that tests can look at it.

    Arguments:
        total: Trials of the whole search; one of twice the length counts as two.
        clock: Monotonic clock in seconds.
    """

    total: float
    clock: Callable[[], float] = time.monotonic
    ended: dict[str, int] = field(
        default_factory=lambda: {"completed": 0, "stopped": 0, "failed": 0}
    )
    running: dict[int, Line] = field(default_factory=dict)
    best: dict[str, tuple[float, str]] = field(default_factory=dict)
    done: float = 0

    def __post_init__(self) -> None:
        self.go_on()

    def go_on(self) -> None:
        """Take what is known so far as work of before: it says nothing of the pace from now on."""
        self._start, self._before = self.clock(), self.work

    @property
    def work(self) -> float:
        """Trials that are done, with the parts of those that are running."""
        return self.done + sum(line.scale * line.progress for line in self.running.values())

    @property
    def elapsed(self) -> float:
        """Seconds since the start, or since the search went on."""
        return self.clock() - self._start

    def left(self) -> float | None:
        """Return the seconds left at the pace since the start; None before there is one."""
        work = self.work
        if work <= self._before:
            return None
        # a search over several budgets may go beyond its total by a part of its last run
        return self.elapsed * max(0.0, self.total - work) / (work - self._before)

    def end(self, trial: int, outcome: str, value: float | None) -> Line:
        """Count a trial out and return its last line; a comparable ``value`` may be the best."""
        line = self.running.pop(trial)
        self.ended[outcome] += 1
        self.done += line.scale
        if value is not None and value < self.best.get(line.model, (float("inf"), ""))[0]:
            self.best[line.model] = (value, line.schedule)
        return line


class Cell:
    """What moves in a notebook: one output of a cell, drawn anew when something has happened.

    Arguments:
        render: What is shown.
    """

    def __init__(self, render: Callable[[], RenderableType]) -> None:
        self._render = render
        self._drawn = -math.inf

    def start(self) -> None:
        """Show it; what is printed comes below."""
        from IPython.display import display

        self._handle = display(self._html(), display_id=True)

    def refresh(self) -> None:
        """Draw it anew, twice a second at most."""
        if time.monotonic() - self._drawn >= 0.5:
            self.stop()

    def stop(self) -> None:
        """Draw it once more."""
        self._drawn = time.monotonic()
        self._handle.update(self._html())

    def _html(self) -> Any:
        from IPython.display import HTML

        page = Console(record=True, file=io.StringIO(), width=_WIDE, force_jupyter=False)
        page.print(self._render())
        code = '<pre style="line-height:normal">{code}</pre>'
        return HTML(page.export_html(inline_styles=True, code_format=code))


class ProgressView:
    """Shows a search as it goes on.

    Arguments:
        total: As for `Tally`.
        console: Where to write; a terminal gets a live panel, anything else plain lines.
        lowest: Whether to show the lowest value of each model; in a confirmation it would mislead.
        objective: What the search minimises.
    """

    def __init__(
        self,
        total: float,
        console: Console,
        lowest: bool = True,
        objective: Objective = FID,
    ) -> None:
        self.tally = Tally(total)
        self._lowest = lowest
        self._objective = objective
        self._console = console
        self._live: Live | Cell | None = None
        self._silent = False

    def __enter__(self) -> ProgressView:
        if getattr(self._console, "in_notebook", False):
            self._live = Cell(self._panel)
        elif self._console.is_terminal:
            self._live = Live(get_renderable=self._panel, console=self._console)
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Count what is told meanwhile, but print nothing: it was printed when it happened."""
        self._silent = True
        yield
        self._silent = False
        self.tally.go_on()

    def retried(self, numbers: Sequence[int], why: str, retry: int, most: int) -> None:
        """Say why the process of some trials failed, which are tried again."""
        self._say(f"{_names(numbers)}: {why}; tried again (retry {retry} of {most})")

    def resumed(self, steps: Mapping[int, int]) -> None:
        """Say from which step each trial goes on that was cut off."""
        places = ", ".join(f"step {step:,}" for step in steps.values())
        self._say(f"{_names([*steps])}: going on from {places}")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def apply(self, event: Event, config: Mapping[str, Any]) -> None:
        """Show what the record says.

        Args:
            event: What happened to a run.
            config: The run; empty if it has ended before.
        """
        number = event["trial"]
        if event["event"] in (START, RESTART):
            own = Configuration.from_dict(config)
            self.started(number, config["model"], str(own), own.scale)
        elif event["event"] == REPORT and "fid" in event["result"]:
            result, value = event["result"], self._objective.of(event["result"])
            self.evaluated(
                number, result["progress"], math.nan if value is None else value, result["phase"]
            )
        elif event["event"] == END:
            final = event["value"] if event["outcome"] == "completed" else None
            self.ended(number, event["outcome"], final)
        if isinstance(self._live, Cell):
            self._live.refresh()

    def started(self, trial: int, model: str, schedule: str, scale: float = 1.0) -> None:
        """Show a trial as running."""
        self.tally.running[trial] = Line(model, schedule, scale)

    def evaluated(self, trial: int, progress: float, value: float, phase: str) -> None:
        """Show a trial's last evaluation."""
        line = self.tally.running[trial]
        line.progress, line.value, line.phase = progress, value, phase

    def ended(self, trial: int, outcome: str, value: float | None) -> None:
        """Count a trial out; without a terminal this prints a line."""
        line = self.tally.end(trial, outcome, value)
        if self._live is None and not self._silent:
            self._console.print(self._plain(trial, outcome, line), highlight=False, soft_wrap=True)

    def _plain(self, trial: int, outcome: str, line: Line) -> str:
        value = ""
        if line.value is not None:
            value = f", {self._objective.title} {fid_text(line.value)} at {line.progress:.0%}"
        left = self.tally.left()
        time_left = "" if left is None else f"; {duration(left)} left"
        done = f"[{self.tally.done:g}/{self.tally.total:g}]"
        return (
            f"{done} {run_name(trial)} {outcome}: {line.model}, {line.schedule}{value}{time_left}"
        )

    def _panel(self) -> RenderableType:
        tally = self.tally
        left = tally.left()
        head = Text.assemble(
            (f"{tally.done:g}/{tally.total:g} trials  ", "bold"),
            f"{tally.ended['completed']} completed, {tally.ended['stopped']} stopped early, "
            f"{tally.ended['failed']} failed  ",
            (f"{duration(tally.elapsed)} elapsed", "dim"),
            ("" if left is None else f", {duration(left)} left", "dim"),
        )
        bar = ProgressBar(total=tally.total, completed=tally.done, width=60)
        return _stacked(head, bar, self._table())

    def _table(self) -> Table:
        """Return the running trials, as many as fit, and the lowest values so far."""
        tally = self.tally
        table = Table(box=None, pad_edge=False)
        for name in ("", "model", "schedule", "done", self._objective.title):
            table.add_column(name, no_wrap=name != "schedule", overflow="fold")
        lines = 1 if self._console.width >= _WIDE else 2  # of a schedule
        room = max(1, (self._console.height - 2 * len(tally.best) - 6) // lines)
        running = sorted(tally.running.items())
        for trial, line in running[:room]:
            value = "" if line.value is None else f"{fid_text(line.value)} ({line.phase})"
            table.add_row(
                run_name(trial), line.model, line.schedule, f"{line.progress:.0%}", value
            )
        if running[room:]:
            table.add_row("", "", f"and {len(running) - room} more are running", "", "")
        for model, (lowest, schedule) in sorted(tally.best.items()):
            if self._lowest:
                what = f"lowest {self._objective.title}"
                row = (what, model, schedule, "100%", fid_text(lowest))
                table.add_row(*[Text(cell, "green") for cell in row])
        return table


def _stacked(*parts: RenderableType) -> RenderableType:
    """Return parts below each other; a bar alone would not end its line."""
    grid = Table.grid()
    for part in parts:
        grid.add_row(part)
    return grid


def _names(numbers: Sequence[int]) -> str:
    return ", ".join(map(run_name, numbers))


def duration(seconds: float) -> str:
    """Return seconds as ``h:mm:ss`` or ``m:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


@dataclass
class Pace:
    """How far a training is and how long it will take at the pace so far; pure state.

    Arguments:
        total: Steps of the whole training.
        first: Step at which it was begun or resumed.
        clock: Monotonic clock in seconds.
    """

    total: int
    first: int = 0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.step = self.first
        self._start = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since it was begun or resumed."""
        return self.clock() - self._start

    def left(self) -> float | None:
        """Return the seconds left; None before the first step."""
        done = self.step - self.first
        return self.elapsed * (self.total - self.step) / done if done else None


class TrainView:
    """Shows a training as it goes on.

    Arguments:
        title: What is trained, in one line.
        pace: How far it is; `TrainView` keeps its step up to date.
        console: Where to write; a terminal gets a live view, anything else plain lines.
        until: Progress from which on data are clean, in [0, 1].
    """

    def __init__(self, title: str, pace: Pace, console: Console, until: float = 0.0) -> None:
        self._title = title
        self._until = until
        self._pace = pace
        self._console = console
        self._live: Live | None = None

    def __enter__(self) -> TrainView:
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._panel, console=self._console)
            self._live.start()
        else:
            self.say(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def at(self, step: int) -> None:
        """Note how many steps are done."""
        self._pace.step = step

    def evaluated(self, evaluation: Evaluation) -> None:
        """Print an evaluation."""
        self.say(sentence(evaluation, self._pace, self._until))

    def say(self, text: str) -> None:
        """Print a line, above the live view if there is one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _panel(self) -> RenderableType:
        pace, left = self._pace, self._pace.left()
        time_left = "" if left is None else f", {duration(left)} left"
        text = Text.assemble(
            (f"step {pace.step:,} of {pace.total:,}  ", "bold"),
            (f"{duration(pace.elapsed)} elapsed{time_left}", "dim"),
        )
        bar = ProgressBar(total=pace.total, completed=pace.step, width=60)
        return _stacked(Text(self._title), text, bar)


def sentence(evaluation: Evaluation, pace: Pace, until: float = 0.0) -> str:
    """Return an evaluation in a line of about 80; ``until`` is where the data become clean."""
    phase = "clean" if until < 1 else "mollified to the last step"
    if evaluation.phase == "mollified":
        phase = f"level {evaluation.level:.2g}"
    left = pace.left()
    time_left = f"; {duration(left)} left" if left else ""
    return (
        f"step {evaluation.step:,} of {pace.total:,}: FID {fid_text(evaluation.fid)}, "
        f"{evaluation.bpd:.3f} bits/dim, loss {evaluation.train_loss:.3g}, {phase}{time_left}"
    )


@contextlib.contextmanager
def asked_to_stop(then: Callable[[], None] | None = None) -> Iterator[threading.Event]:
    """Note a SIGINT or SIGTERM.

    Args:
        then: Called at each signal; without it a second one ends the process at once.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def on_signal(number: int, frame: Any) -> None:
        came.set()
        if then is not None:
            then()
            return
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)

    for number in numbers:
        signal.signal(number, on_signal)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


SHOWN_AFTER = 1.0
"""Seconds of a work after which it is shown; a shorter one is not worth a line."""


@contextmanager
def working(what: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show how far a work is: a line that moves, or without a terminal one at start and end.

    Args:
        what: What is done.
        console: Where it is shown.

    Yields:
        What is to be called with the number of steps that are done, and that of all.
    """
    start, status = time.monotonic(), console.status("")
    shown = False

    def at(done: int, total: int) -> None:
        nonlocal shown
        elapsed = time.monotonic() - start
        if elapsed >= SHOWN_AFTER and console.is_terminal:
            status.update(f"{what}: {done / total:.0%}, {duration(elapsed)}")
            status.start()
        elif elapsed >= SHOWN_AFTER and not shown:
            console.print(f"{what} ...", markup=False, highlight=False, soft_wrap=True)
        shown = shown or elapsed >= SHOWN_AFTER

    try:
        yield at
    finally:
        status.stop()
    if shown:
        text = f"{what}: done in {duration(time.monotonic() - start)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
