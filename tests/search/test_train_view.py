"""What is shown of a production training."""

import io

import pytest
from rich.console import Console
from tests.search.bench import Bench

from mollitune.search.data.images import Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.terminal import Pace, TrainView, sentence
from mollitune.search.training.spec import Evaluation


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def evaluations(digits: Splits, reference: Reference) -> list[Evaluation]:
    return list(Bench(digits, reference).trial(steps=4, every=0.5).run())


def test_the_pace_is_that_since_the_training_was_resumed() -> None:
    clock = Clock()
    pace = Pace(total=1000, first=400, clock=clock)
    assert pace.left() is None
    clock.now, pace.step = 160.0, 500
    assert pace.elapsed == 60
    assert pace.left() == 300  # five times as many steps are left


def test_an_evaluation_in_one_line(evaluations: list[Evaluation]) -> None:
    clock = Clock()
    pace = Pace(total=4, clock=clock)
    clock.now, pace.step = 160.0, 2
    first, last = evaluations
    text = sentence(first, pace)
    assert text.startswith(f"step 2 of 4 (50%): FID {first.fid:.2f}, {first.bpd:.3f} bits per dim")
    assert text.endswith(f"data mollified (level {first.level:.3g}); 1:00 left")
    pace.step = 4
    assert sentence(last, pace).endswith("clean data")


def test_a_terminal_gets_a_live_line(evaluations: list[Evaluation]) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    with TrainView("vae on cpu", Pace(total=4), console) as view:
        view.at(2)
        view.evaluated(evaluations[0])
    shown = file.getvalue()
    assert "vae on cpu" in shown
    assert "step 2 of 4" in shown
    assert f"FID {evaluations[0].fid:.2f}" in shown


def test_a_pipe_gets_plain_lines(evaluations: list[Evaluation]) -> None:
    file = io.StringIO()
    with TrainView("vae on cpu", Pace(total=4), Console(file=file)) as view:
        view.at(2)
        view.evaluated(evaluations[0])
    title, line = file.getvalue().splitlines()
    assert title == "vae on cpu"
    assert line.startswith("step 2 of 4 (50%): FID ")
