import io
import math
import pickle

import pytest
from rich.console import Console

from mollitune.search.terminal import Line, ProgressView, Tally, duration


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


def test_ends_are_counted_by_kind(clock: Clock) -> None:
    tally = Tally(4, clock)
    for trial, outcome in enumerate(["completed", "stopped", "stopped", "failed"]):
        tally.running[trial] = Line("vae", f"linear({trial})", fid=5.0)
        line = tally.end(trial, outcome, None)
        assert line.schedule == f"linear({trial})"
    assert tally.ended == {"completed": 1, "stopped": 2, "failed": 1}
    assert (tally.done, tally.running, tally.best) == (4, {}, {})
    assert tally.left() == 0


def test_the_best_is_kept_per_model(clock: Clock) -> None:
    tally = Tally(9, clock)
    ends = [
        ("vae", "a", 5.0),
        ("vae", "b", 4.0),
        ("vae", "c", 4.5),
        ("vae", "d", None),
        ("realnvp", "e", 40.0),
        ("realnvp", "f", math.nan),
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
    first, second = out.getvalue().splitlines()  # one line each, however narrow
    assert first.startswith(
        "[1/3] trial 0 completed: vae, linear(until=0.5), FID 12.35 at 100%; 0:"
    )
    assert first.endswith(" left")
    assert second.startswith("[2/3] trial 1 failed: realnvp, vanilla, FID 70.00 at 25%; ")
    assert "\x1b" not in out.getvalue()


def test_a_trial_without_a_value_shows_none() -> None:
    out = io.StringIO()
    with ProgressView(1, Console(file=out)) as view:
        view.started(0, "vae", "vanilla")
        view.ended(0, "failed", None)
    assert out.getvalue() == "[1/1] trial 0 failed: vae, vanilla; 0:00 left\n"


def test_a_terminal_gets_a_live_panel() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)
    with ProgressView(3, console) as view:
        follow(view)
    shown = out.getvalue()
    assert "trial 0 completed" not in shown  # no plain lines between the panels
    last = shown[shown.rindex("1/3 trials") :]
    assert "1 completed, 0 stopped early, 0 failed" in last
    assert "left" in last
    rows = [line.split() for line in last.splitlines()]
    assert ["trial", "1", "realnvp", "vanilla", "25%", "70.00", "(clean)"] in rows
    assert ["best", "vae", "linear(until=0.5)", "100%", "12.35"] in rows


def test_a_view_travels_without_its_terminal() -> None:
    view = ProgressView(3, Console(file=io.StringIO(), force_terminal=True))
    with view:
        follow(view)
        state = view.__getstate__()
    assert state["_console"] is None
    assert state["_live"] is None
    tally = pickle.loads(pickle.dumps(state))["tally"]
    assert tally.ended == view.tally.ended
    assert tally.best == view.tally.best


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (7384, "2:03:04"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
