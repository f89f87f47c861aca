"""Notices processes that hang: one shows signs of life, the driver kills one that shows none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

from . import beacon

_LOOKS = 10
_LONGEST = 30.0


class Pulse:
    """A process's signs of life, kept where the driver looks for them.

    Calls cost nothing but now and then, so that every training step may be one.

    Arguments:
        folder: The search.
        process: Ray's name of the trial that the process runs.
        hang_seconds: After which silence the driver gives the process up; None: never.
    """

    def __init__(self, folder: str, process: str, hang_seconds: float | None) -> None:
        self._folder, self._process = folder, process
        self._period = float("inf") if hang_seconds is None else _period(hang_seconds)
        self._next = time.monotonic() if hang_seconds is not None else float("inf")

    def __call__(self) -> None:
        """Show that the training goes on."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._period
            beacon.put(self._folder, beacon.PULSE, self._process, now)


@dataclass
class _Watched:
    """What the driver knows of a running process."""

    trial: Any
    beat: object = None
    silent: float = 0.0


class Watchdog:
    """Kills a process without a sign of life; Ray then tries its trials again.

    A process is alive while it makes training steps or batches of an evaluation, however long it
    takes to the next report. Silence is measured by the driver's clock in the moments when it
    looks: time in which the driver itself was held up does not count.

    Arguments:
        folder: The search.
        hang_seconds: Silence after which a process hangs, > 0; None: never.
        clock: Monotonic clock in seconds.

    Attributes:
        reasons: For each process that was killed since its last start, why, by Ray's name of its
            trial.
    """

    def __init__(
        self,
        folder: str,
        hang_seconds: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._seconds = hang_seconds
        self._clock = clock
        self._looked = clock()
        self._watched: dict[str, _Watched] = {}
        self.reasons: dict[str, str] = {}

    @property
    def watched(self) -> int:
        """Processes that run."""
        return len(self._watched)

    def started(self, trial: Any) -> None:
        """Watch the process of a trial of Ray Tune from now on."""
        self.reasons.pop(trial.trial_id, None)
        self._watched[trial.trial_id] = _Watched(trial)

    def reported(self, trial: Any) -> None:
        """Take a report as a sign of life."""
        if trial.trial_id in self._watched:
            self._watched[trial.trial_id].silent = 0.0

    def ended(self, trial: Any) -> None:
        """Watch a process no more; a reason is kept until the trial is started again."""
        if self._watched.pop(trial.trial_id, None) is not None and self._seconds is not None:
            beacon.forget(self._folder, beacon.PULSE, trial.trial_id)

    def look_if_due(self) -> None:
        """Look for signs of life, now and then."""
        if self._seconds is None:
            return
        period, gap = _period(self._seconds), self._clock() - self._looked
        if gap < period:
            return
        self._looked += gap
        for process, watched in self._watched.items():
            self._look(process, watched, min(gap, 2 * period))

    def _look(self, process: str, watched: _Watched, seconds: float) -> None:
        beat = self.last_beat(process)
        if beat != watched.beat:
            watched.beat, watched.silent = beat, 0.0
            return
        watched.silent += seconds
        if self._seconds is not None and watched.silent > self._seconds:
            self.reasons[process] = (
                f"hung: no training step and no batch of an evaluation for {self._seconds:g} s; "
                "if one may take longer, raise resources.hang_seconds"
            )
            watched.silent = 0.0  # to be killed again if it is still there after as long
            self.kill(watched.trial)

    def last_beat(self, process: str) -> object:
        """Return a process's last sign of life: another one than before, None for none."""
        return beacon.get(self._folder, beacon.PULSE, process)

    def kill(self, trial: Any) -> None:
        """Kill the process of a trial of Ray Tune."""
        ray.kill(trial.temporary_state.ray_actor)


def _period(hang_seconds: float) -> float:
    """Return the seconds between two signs of life, and between two looks for them."""
    return min(_LONGEST, hang_seconds / _LOOKS)
