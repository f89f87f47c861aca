"""When the driver gives a process up; that its process then goes is for tests/chaos to show."""

from types import SimpleNamespace
from typing import Any

import pytest

from mollitune.search.tune.watchdog import Watchdog

HANG = 10.0
TRIAL = SimpleNamespace(trial_id="a1")


class Watched(Watchdog):
    """A watchdog of one trial, whose clock and signs of life are in the test's hand."""

    def __init__(self, hang_seconds: float | None = HANG) -> None:
        self.now = 0.0
        self.beats = 0
        self.killed: list[Any] = []
        super().__init__("folder", hang_seconds, clock=lambda: self.now)
        self.started(TRIAL)

    def last_beat(self, process: str) -> object:
        return self.beats

    def kill(self, trial: Any) -> None:
        self.killed.append(trial)

    def look(self, seconds: float) -> None:
        self.now += seconds
        self.look_if_due()


def test_a_trial_with_signs_of_life_is_left_alone() -> None:
    watchdog = Watched()
    for watchdog.beats in range(100):
        watchdog.look(HANG / 2)
    assert watchdog.killed == []


def test_a_silent_one_is_killed_and_says_why() -> None:
    watchdog = Watched()
    for _ in range(11):  # the first look finds a beat
        watchdog.look(1.0)
    assert watchdog.killed == []
    watchdog.look(1.0)
    assert watchdog.killed == [TRIAL]
    assert watchdog.reasons["a1"].startswith("hung: no training step")
    watchdog.started(TRIAL)
    assert watchdog.reasons == {}


def test_time_in_which_the_driver_did_not_look_does_not_count() -> None:
    watchdog = Watched()
    for _ in range(5):
        watchdog.look(1000.0)
    assert watchdog.killed == []


def test_a_report_is_a_sign_of_life() -> None:
    watchdog = Watched()
    for _ in range(100):
        watchdog.look(1.0)
        watchdog.reported(TRIAL)
    assert watchdog.killed == []


@pytest.mark.parametrize("seconds", [1.0, 1e6])
def test_without_a_limit_nobody_is_killed(seconds: float) -> None:
    watchdog = Watched(None)
    for _ in range(100):
        watchdog.look(seconds)
    assert watchdog.killed == []
