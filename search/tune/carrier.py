"""Carries several trials of the search through Ray Tune as one of its own.

Ray sees one trial, in one process; searcher, policy, record and tables see each of ours, with the
calls that they would get if each were Ray's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.experimental import internal_kv
from ray.tune import Callback
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from .context import Context
from .scheduler import PolicyScheduler
from .searcher import ScheduleSearcher

_NAMESPACE = "mollitune"
ROUNDS = 4
"""Carriers that a worker gets one after the other, at least: a policy learns between them."""


def stack_size(most: int, runs: int, workers: int) -> int:
    """Return how many trials each carrier takes.

    Args:
        most: What the config allows.
        runs: Trials to be run.
        workers: Carriers at once.

    Example:
        >>> stack_size(16, 24, 2), stack_size(16, 1000, 2)
        (3, 16)
    """
    return max(1, min(most, math.ceil(runs / (ROUNDS * workers))))


def trials_per_process(context: Context, runs: int) -> int:
    """Return how many trials a process takes: one, if by its plan no model gains by more.

    Args:
        context: Config and plans of the search.
        runs: Trials to be run.
    """
    config = context.config
    if not any(plan.as_one for plan in context.plans.values()):
        return 1
    return stack_size(config.resources.most_stacked, runs, config.workers)


@dataclass
class Carried:
    """One of our trials, as the callbacks of Ray Tune know a trial.

    Attributes:
        config: Its config from the searcher.
        carrier: Ray's trial.
        last_result: Its last result.
    """

    config: dict[str, Any]
    carrier: Any
    last_result: dict[str, Any] | None = field(default=None)

    @property
    def temporary_state(self) -> Any:
        """What Ray knows of the process."""
        return self.carrier.temporary_state

    @property
    def error_file(self) -> str | None:
        """Where Ray wrote down the last error."""
        file: str | None = self.carrier.error_file
        return file


class CarrierSearcher(Searcher):  # type: ignore[misc]
    """Hands Ray Tune the runs of a search, several at a time.

    Arguments:
        searcher: Where the runs come from.
        size: How many at a time, at most.
    """

    def __init__(self, searcher: ScheduleSearcher, size: int) -> None:
        super().__init__(metric="fid", mode="min")
        self._searcher = searcher
        self._size = size

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the configs of the next runs as ``trials``, or ``FINISHED``."""
        found: list[dict[str, Any]] = []
        while len(found) < self._size and (config := self._searcher.take()) is not None:
            found.append(config)
        if found:
            return {"trials": found}
        return None if self._searcher.cut_off else str(Searcher.FINISHED)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn nothing: `Carrier` tells of each run."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: a search is resumed from its own tables, not from Ray's snapshots."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, see `save`."""


class Carrier(Callback):  # type: ignore[misc]
    """Tells searcher, policy and callbacks of each trial that one of Ray's carries.

    Arguments:
        folder: The search.
        searcher: What hands out the runs.
        scheduler: The policy.
        callbacks: What else follows each trial: the recorder, the watchdog.
    """

    def __init__(
        self,
        folder: str,
        searcher: ScheduleSearcher,
        scheduler: PolicyScheduler,
        callbacks: Sequence[Callback],
    ) -> None:
        self._folder = folder
        self._searcher = searcher
        self._scheduler = scheduler
        self._callbacks = list(callbacks)
        self._open: dict[str, dict[int, Carried]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Ray pickles its callbacks, but never uses the copy here
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of the start of each trial that has not ended."""
        self._carried(trial)
        self._tell("on_trial_start", trial)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Have each result recorded and judged, and let the process know whom not to train on."""
        for own in result["results"]:
            carried = self._open[trial.trial_id].get(own["trial"])
            if carried is not None:
                self._take(carried, {k: v for k, v in own.items() if k != "trial"})
        self._publish(trial)

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Tell of trials that were cut off with the whole search."""
        self._tell("on_trial_complete", trial)
        self._forget(trial)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of the failure of each trial that has not ended; Ray starts them again."""
        self._tell("on_trial_recover", trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of the end of each trial that had not ended when the process failed for good."""
        for carried in self._carried(trial).values():  # perhaps it did not even start
            self._searcher.ended(carried.config["trial"], carried.last_result or {}, error=True)
        self._tell("on_trial_error", trial)
        self._forget(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Pass it on."""
        for callback in self._callbacks:
            callback.on_step_end(iteration, trials)

    def _carried(self, trial: Any) -> dict[int, Carried]:
        """Return the trials that one of Ray's carries and that have not ended."""
        if trial.trial_id not in self._open:
            own = {c["trial"]: Carried(c, trial) for c in trial.config["trials"]}
            self._open[trial.trial_id] = own
        return self._open[trial.trial_id]

    def _take(self, carried: Carried, result: dict[str, Any]) -> None:
        """Do what Ray does with a trial's result, in its order."""
        number, done = carried.config["trial"], result["done"]
        if done:
            self._scheduler.on_trial_complete(None, carried, result)
        else:
            decision = self._scheduler.on_trial_result(None, carried, result)
            done = decision == TrialScheduler.STOP
        for callback in self._callbacks:
            callback.on_trial_result(0, [], carried, result)
        carried.last_result = result
        if done:
            self._searcher.ended(number, result)
            for callback in self._callbacks:
                callback.on_trial_complete(0, [], carried)
            del self._open[carried.carrier.trial_id][number]

    def _tell(self, event: str, trial: Any) -> None:
        for carried in list(self._open.get(trial.trial_id, {}).values()):
            for callback in self._callbacks:
                getattr(callback, event)(0, [], carried)

    def _publish(self, trial: Any) -> None:
        left = self._open[trial.trial_id]
        ended = [c["trial"] for c in trial.config["trials"] if c["trial"] not in left]
        value = json.dumps(ended)
        internal_kv._internal_kv_put(
            _key(self._folder, trial.trial_id), value, namespace=_NAMESPACE
        )

    def _forget(self, trial: Any) -> None:
        self._open.pop(trial.trial_id, None)
        internal_kv._internal_kv_del(_key(self._folder, trial.trial_id), namespace=_NAMESPACE)


def ended_trials(folder: str, carrier: str) -> set[int]:
    """Return the numbers of a carrier's trials that have ended, for whatever reason.

    A process that Ray started again reads here what the one before it had done.

    Args:
        folder: The search.
        carrier: Ray's name of its trial.
    """
    found = internal_kv._internal_kv_get(_key(folder, carrier), namespace=_NAMESPACE)
    return set() if found is None else set(json.loads(found))


def _key(folder: str, carrier: str) -> str:
    return f"{folder}:ended:{carrier}"


class Forgetting(Callback):  # type: ignore[misc]
    """Lets Ray forget its running statistics of trials that have ended.

    Of every number that a trial reports Ray keeps six statistics and the last ten values: 37 kB
    per trial, two thirds of what a trial costs the driver, and more in each of Ray's snapshots.
    Nobody asks for them here.
    """

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Forget the statistics of a trial that was trained to its end, or stopped."""
        _forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Forget the statistics of a trial that failed for good."""
        _forget(trial)


def _forget(trial: Any) -> None:
    trial.metric_analysis.clear()
    trial.metric_n_steps.clear()
