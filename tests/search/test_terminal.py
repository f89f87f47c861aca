"""What is shown of a search and of a production training."""

import io
import math
from typing import Any

import pytest
from rich.console import Console
from tests.search.bench import Bench

from mollitune._console import TextConsole
from mollitune.analysis.words import fid_text
from mollitune.schedules import Linear
from mollitune.search import terminal as terminal_module
from mollitune.search.data.images import Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.store.evaluation import Evaluation
from mollitune.search.terminal import (
    Line,
    Pace,
    ProgressView,
    Tally,
    TrainView,
    duration,
    sentence,
    working,
)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_left_counts_parts_of_running_trials(clock: Clock) -> None:
    tally = Tally(10, clock)
    assert tally.left() is None
    for trial in range(3):
        tally.running[trial] = Line("vae", "vanilla")
    clock.now += 60
    assert tally.left() is None
    tally.end(0, "completed", 9.0)
    assert tally.elapsed == 60
    assert tally.left() == pytest.approx(60 * 9 / 1)
    tally.running[1].progress, tally.running[2].progress = 0.75, 0.25
    assert tally.left() == pytest.approx(60 * 8 / 2)  # two trials' worth is done, eight are left
    tally.go_on()  # resumed: what was done before took no time now
    assert tally.left() is None
    clock.now += 30
    tally.running[1].progress = 1.0
    assert tally.left() == pytest.approx(30 * 7.75 / 0.25)


def test_ends_are_counted_by_kind(clock: Clock) -> None:
    tally = Tally(4, clock)
    for trial, outcome in enumerate(["completed", "stopped", "stopped", "failed"]):
        tally.running[trial] = Line("vae", f"linear({trial})", value=5.0)
        line = tally.end(trial, outcome, None)
        assert line.schedule == f"linear({trial})"
    assert tally.ended == {"completed": 1, "stopped": 2, "failed": 1}
    assert (tally.done, tally.running, tally.best) == (4, {}, {})
    assert tally.left() == 0


def test_the_best_is_kept_per_model(clock: Clock) -> None:
    tally = Tally(9, clock)
    ends = [
        *(("vae", "a", 5.0), ("vae", "b", 4.0), ("vae", "c", 4.5), ("vae", "d", None)),
        *(("realnvp", "e", 40.0), ("realnvp", "f", math.nan)),
    ]
    for trial, (model, schedule, fid) in enumerate(ends):
        tally.running[trial] = Line(model, schedule)
        tally.end(trial, "completed", fid)
    assert tally.best == {"vae": (4.0, "b"), "realnvp": (40.0, "e")}


def follow(view: ProgressView) -> None:
    """Two trials: one completes, one goes on."""
    view.started(0, "vae", "linear(until=0.5)")
    view.started(1, "realnvp", "vanilla")
    view.evaluated(0, 0.5, 80.0, "mollified")
    view.evaluated(0, 1.0, 12.345, "clean")
    view.evaluated(1, 0.25, 70.0, "clean")
    view.ended(0, "completed", 12.345)


def test_plain_lines_without_a_terminal() -> None:
    out = io.StringIO()
    with ProgressView(3, Console(file=out, width=40)) as view:
        follow(view)
        view.ended(1, "failed", None)
        view.started(2, "vae", "vanilla")
        view.ended(2, "failed", None)
    first, second, third = out.getvalue().splitlines()  # one line each, however narrow
    assert first.startswith(
        "[1/3] trial 0 completed: vae, linear(until=0.5), FID 12.35 at 100%; 0:"
    )
    assert first.endswith(" left")
    assert second.startswith("[2/3] trial 1 failed: realnvp, vanilla, FID 70.00 at 25%; ")
    assert third == "[3/3] trial 2 failed: vae, vanilla; 0:00 left"
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("width", [80, 160])
def test_a_terminal_gets_a_live_panel_that_fits(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=24, color_system=None)
    long = "sigmoid(start=-5.54, end=4.25, tau=1.25, until=0.863)"
    with ProgressView(20, console) as view:
        follow(view)
        for trial in range(2, 20):
            view.started(trial, "realnvp", long)
    shown = out.getvalue()
    assert "trial 0 completed" not in shown  # no plain lines between the panels
    last = shown[shown.rindex("1/20 trials") :]
    assert "1 completed, 0 stopped early, 0 failed" in last
    assert "left" in last
    lines = last.splitlines()
    assert max(map(len, lines)) <= width
    rows = [line.split() for line in lines]
    assert ["model", "schedule", "done", "FID"] in rows  # on a line of its own
    assert ["trial", "1", "realnvp", "vanilla", "25%", "70.00", "(clean)"] in rows
    assert "".join(long.split()) in "".join(last.replace("0%", "").split())
    assert ["lowest", "FID", "vae", "linear(until=0.5)", "100%", "12.35"] in rows
    assert len(rows) <= 24
    assert "more are running" in last


def test_a_confirmation_shows_no_lowest_fid() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    with ProgressView(3, console, lowest=False) as view:
        follow(view)
    assert "lowest" not in out.getvalue()


def test_the_view_shows_what_the_record_says() -> None:
    out = io.StringIO()
    config = {"model": "vae", "schedule": Linear(until=0.5).to_dict()}
    result = {"progress": 1.0, "fid": 12.3456, "phase": "clean"}
    events: list[dict[str, Any]] = [
        {"event": "start"},
        {"event": "report", "result": {**result, "progress": 0.5}},
        {"event": "restart"},
        {"event": "report", "result": {"step": 9, "failure": "diverged"}},
        {"event": "report", "result": result},
        {"event": "end", "outcome": "completed", "value": 12.3456},
    ]
    with ProgressView(3, Console(file=out)) as view:
        for event in events:
            view.apply({"trial": 4, **event}, config)
    assert out.getvalue().startswith(
        "[1/3] trial 4 completed: vae, linear(until=0.5), FID 12.35 at 100%; "
    )
    assert view.tally.best == {"vae": (12.3456, "linear(until=0.5)")}


def test_durations() -> None:
    times = {59.6: "1:00", 61: "1:01", 3599: "59:59", 3600: "1:00:00", 7384: "2:03:04"}
    for seconds, text in {0: "0:00", **times}.items():
        assert duration(seconds) == text


@pytest.fixture(scope="module")
def evaluations(digits: Splits, reference: Reference) -> list[Evaluation]:
    return list(Bench(digits, reference).trial(steps=4, every=0.5).run())


def test_the_pace_is_that_since_the_training_was_resumed(clock: Clock) -> None:
    pace = Pace(total=1000, first=400, clock=clock)
    assert pace.left() is None
    clock.now, pace.step = 160.0, 500
    assert pace.elapsed == 60
    assert pace.left() == 300  # five times as many steps are left


def test_an_evaluation_in_one_line(evaluations: list[Evaluation], clock: Clock) -> None:
    pace = Pace(total=4, clock=clock)
    clock.now, pace.step = 160.0, 2
    first, last = evaluations
    text = sentence(first, pace)
    assert text.startswith(f"step 2 of 4: FID {fid_text(first.fid)}, {first.bpd:.3f} bits/dim")
    assert text.endswith(f"level {first.level:.2g}; 1:00 left")
    pace.step = 4
    assert sentence(last, pace, until=0.6).endswith(", clean")
    assert sentence(last, pace, until=1.0).endswith("mollified to the last step")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_a_live_line_and_a_pipe_plain_ones(
    evaluations: list[Evaluation], terminal: bool
) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100)
    with TrainView("vae on cpu", Pace(total=4), console) as view:
        view.at(2)
        view.evaluated(evaluations[0])
    shown = file.getvalue()
    assert f"FID {fid_text(evaluations[0].fid)}" in shown
    if terminal:
        assert "vae on cpu" in shown
        assert "step 2 of 4" in shown
    else:
        title, line = shown.splitlines()
        assert title == "vae on cpu"
        assert line.startswith("step 2 of 4: FID ")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_work_of_more_than_a_moment_is_shown(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    def shown() -> str:
        console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
        with working("training", console) as progress:
            for step in range(3):
                progress(step, 2)
        return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    assert "training" not in shown()
    monkeypatch.setattr(terminal_module, "SHOWN_AFTER", 0.0)
    text = shown()
    assert text.endswith("training: done in 0:00\n")
    assert ("training: 100%" in text) == terminal
    assert text.startswith("training ...\n") == (not terminal)


def test_lines_break_at_words_in_a_terminal_and_nowhere_in_a_pipe() -> None:
    text = "the extractor has changed since the search began " * 3
    for terminal, count in ((True, 3), (False, 1)):
        out = io.StringIO()
        TextConsole(file=out, width=60, force_terminal=terminal).print(text, soft_wrap=True)
        lines = out.getvalue().splitlines()
        assert len(lines) == count
        assert " ".join(lines).split() == text.split()
