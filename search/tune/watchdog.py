"""Notices trials that hang: a worker shows signs of life, the driver kills one that shows none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.experimental import internal_kv
from ray.tune import Callback

_NAMESPACE = "mollitune"
_LOOKS = 10
_LONGEST = 30.0


class Pulse:
    """A trial's signs of life, kept where the driver looks for them: in Ray's key-value store.

    A worker that hangs cannot be asked, so it is the one to tell. Calls cost nothing but now and
    then, so that every training step may be one.

    Arguments:
        folder: The search.
        trial: Number of the trial.
        hang_seconds: After which silence the driver gives the trial up; None: never.
    """

    def __init__(self, folder: str, trial: int, hang_seconds: float | None) -> None:
        self._key = _key(folder, trial)
        self._period = float("inf") if hang_seconds is None else _period(hang_seconds)
        self._next = time.monotonic() if hang_seconds is not None else float("inf")

    def __call__(self) -> None:
        """Show that the trial goes on."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._period
            internal_kv._internal_kv_put(self._key, str(now), namespace=_NAMESPACE)


@dataclass
class _Watched:
    """What the driver knows of a running trial."""

    trial: Any
    beat: bytes | None = None
    silent: float = 0.0


class Watchdog(Callback):  # type: ignore[misc]
    """Kills the worker of a trial without a sign of life; Ray then tries the trial again.

    A trial is alive while it makes training steps or batches of an evaluation, however long it
    takes to the next report. Silence is measured by the driver's clock in the moments when it
    looks: time in which the driver itself was held up does not count.

    Arguments:
        folder: The search.
        hang_seconds: Silence after which a trial hangs, > 0; None: never.
        clock: Monotonic clock in seconds.

    Attributes:
        reasons: For each trial that was killed since its last start, why.
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
        self._watched: dict[int, _Watched] = {}
        self.reasons: dict[int, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Ray pickles its callbacks; workers and clocks belong to this process
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Watch a trial from now on."""
        self.reasons.pop(trial.config["trial"], None)
        self._watched[trial.config["trial"]] = _Watched(trial)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Take a report as a sign of life."""
        if trial.config["trial"] in self._watched:
            self._watched[trial.config["trial"]].silent = 0.0

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Watch a trial no more."""
        self._forget(trial)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Wait for the next start of a trial."""
        self._forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Watch a trial no more."""
        self._forget(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look for signs of life, now and then."""
        if self._seconds is None:
            return
        period, gap = _period(self._seconds), self._clock() - self._looked
        if gap < period:
            return
        self._looked += gap
        for number, watched in self._watched.items():
            self._look(number, watched, min(gap, 2 * period))

    def _look(self, number: int, watched: _Watched, seconds: float) -> None:
        beat = self.last_beat(number)
        if beat != watched.beat:
            watched.beat, watched.silent = beat, 0.0
            return
        watched.silent += seconds
        if self._seconds is not None and watched.silent > self._seconds:
            self.reasons[number] = (
                f"hung: no training step and no batch of an evaluation for {self._seconds:g} s; "
                "if one may take longer, raise resources.hang_seconds"
            )
            watched.silent = 0.0  # to be killed again if it is still there after as long
            self.kill(watched.trial)

    def last_beat(self, number: int) -> bytes | None:
        """Return a trial's last sign of life: other bytes than the one before, None for none."""
        beat: bytes | None = internal_kv._internal_kv_get(
            _key(self._folder, number), namespace=_NAMESPACE
        )
        return beat

    def kill(self, trial: Any) -> None:
        """Kill the process of a trial of Ray Tune."""
        ray.kill(trial.temporary_state.ray_actor)

    def _forget(self, trial: Any) -> None:
        number = trial.config["trial"]
        if self._watched.pop(number, None) is not None and self._seconds is not None:
            internal_kv._internal_kv_del(_key(self._folder, number), namespace=_NAMESPACE)


def _key(folder: str, trial: int) -> str:
    return f"{folder}:{trial}"


def _period(hang_seconds: float) -> float:
    """Return the seconds between two signs of life, and between two looks for them."""
    return min(_LONGEST, hang_seconds / _LOOKS)
