"""What a person sees of a production training: a live line, or a line per evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from .evaluation import Evaluation
from .progress import duration


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
    """

    def __init__(self, title: str, pace: Pace, console: Console) -> None:
        self._title = title
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
        self.say(sentence(evaluation, self._pace))

    def say(self, text: str) -> None:
        """Print a line, above the live view if there is one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _panel(self) -> RenderableType:
        pace, left = self._pace, self._pace.left()
        time_left = "" if left is None else f", {duration(left)} left"
        text = Text.assemble(
            (f"step {pace.step:,} of {pace.total:,}  ", "bold"),
            (f"{duration(pace.elapsed)} gone{time_left}", "dim"),
        )
        bar = ProgressBar(total=pace.total, completed=pace.step, width=60)
        return Group(Text(self._title), text, bar)


def sentence(evaluation: Evaluation, pace: Pace) -> str:
    """Return an evaluation in one line."""
    phase = "clean data"
    if evaluation.phase == "mollified":
        phase = f"data mollified (level {evaluation.level:.3g})"
    left = pace.left()
    time_left = f"; {duration(left)} left" if left else ""
    return (
        f"step {evaluation.step:,} of {pace.total:,} ({evaluation.progress:.0%}): FID "
        f"{evaluation.fid:.2f}, {evaluation.bpd:.3f} bits per dim, loss "
        f"{evaluation.train_loss:.4g}, {phase}{time_left}"
    )
