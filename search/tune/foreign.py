"""Schedulers and searchers of Ray Tune, fed event by event instead of by Ray.

Live and on resume they see the same calls in the same order, with stand-ins for Ray's trials, so a
run that was killed goes on with what they had learned.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.variant_generator import generate_variants

from mollitune._errors import MollituneError
from mollitune._files import first_line

STOP = str(TrialScheduler.STOP)


class RandomSearcher(Searcher):  # type: ignore[misc]
    """Draws each configuration by its number, whatever was drawn before.

    Arguments:
        space: What is searched, as Ray Tune writes it.
        seed: Seed of the draws.
    """

    def __init__(self, space: Mapping[str, Any], seed: int = 0) -> None:
        super().__init__()
        self._space = dict(space)
        self._seed = seed

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """Return the configuration of a trial; its name ends with its number."""
        random = np.random.RandomState([self._seed, int(trial_id)])
        (_, config), *_ = generate_variants(self._space, random_state=random)
        drawn: dict[str, Any] = config
        return drawn

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn nothing."""


class Fed:
    """A searcher and a scheduler of Ray Tune that learn from events.

    Arguments:
        searcher: What proposes configurations.
        scheduler: What stops trials; by default nothing is stopped.
        metric: What is optimised.
        mode: ``min`` or ``max``.
        space: What is searched, for a searcher that does not know it yet.

    Attributes:
        finished: Whether the searcher has said that it proposes nothing more.

    Raises:
        MollituneError: If searcher or scheduler are of another metric or mode.
    """

    def __init__(
        self,
        searcher: Searcher,
        scheduler: TrialScheduler | None,
        metric: str,
        mode: str,
        space: Mapping[str, Any] | None = None,
    ) -> None:
        self._searcher = searcher
        self._scheduler = FIFOScheduler() if scheduler is None else scheduler
        self._trials: dict[int, Trial] = {}
        self._suggested: set[int] = set()
        self.finished = False
        searcher.set_search_properties(metric, mode, dict(space or {}))
        own = scheduler is None or self._scheduler.set_search_properties(metric, mode)
        given = (
            getattr(self._scheduler, "_metric", metric),
            getattr(self._scheduler, "_mode", mode),
        )
        if not own and given != (metric, mode):
            raise MollituneError(
                f"the scheduler has metric {given[0]} and mode {given[1]}, not {metric} and {mode}"
            )

    def suggest(self, number: int) -> dict[str, Any] | None:
        """Return a configuration; None if there is none now, or there will be none.

        Raises:
            MollituneError: If the searcher fails, as for all that follows.
        """
        with _told(self._searcher):
            found = self._searcher.suggest(_id(number))
        self.finished = found == Searcher.FINISHED
        if not isinstance(found, dict):
            return None
        self._suggested.add(number)
        return found

    def started(self, number: int, config: Mapping[str, Any]) -> None:
        """Learn of a new trial."""
        trial = Trial("stand-in", config=dict(config), trial_id=_id(number), stub=True)
        trial.set_status(Trial.RUNNING)
        self._trials[number] = trial
        with _told(self._scheduler):
            self._scheduler.on_trial_add(self, trial)

    def reported(self, number: int, result: Mapping[str, Any]) -> bool:
        """Learn of a result; return whether the trial is to be stopped.

        Raises:
            MollituneError: If the scheduler wants to pause a trial, which cannot be repeated.
        """
        trial, own = self._trials[number], dict(result)
        with _told(self._scheduler):
            decision = self._scheduler.on_trial_result(self, trial, own)
        trial.run_metadata.last_result = own
        if decision not in (TrialScheduler.CONTINUE, TrialScheduler.STOP):
            raise MollituneError(
                f"{type(self._scheduler).__name__} pauses trials, and that is not recorded; take "
                "a scheduler that stops or continues, such as ASHAScheduler"
            )
        if decision == TrialScheduler.CONTINUE and number in self._suggested:
            with _told(self._searcher):
                self._searcher.on_trial_result(_id(number), own)
        return bool(decision == TrialScheduler.STOP)

    def ended(self, number: int, result: Mapping[str, Any] | None, how: str) -> None:
        """Learn that a trial has ended.

        Args:
            number: The trial.
            result: Its last result; None without one.
            how: ``completed``, ``stopped`` by the scheduler, or ``failed``.
        """
        trial, own = self._trials.pop(number), None if result is None else dict(result)
        with _told(self._scheduler):
            if how == "failed":
                self._scheduler.on_trial_error(self, trial)
            elif how == "completed":
                self._scheduler.on_trial_complete(self, trial, own or {})
        if number in self._suggested:  # else it is none of the searcher's
            with _told(self._searcher):
                self._searcher.on_trial_complete(_id(number), own, error=how == "failed")

    # what a scheduler may ask of Ray's controller
    def get_trials(self) -> list[Trial]:
        """Return the trials that have not ended."""
        return [*self._trials.values()]

    get_live_trials = get_trials


@contextlib.contextmanager
def _told(part: object) -> Iterator[None]:
    """Say in a line what a searcher or scheduler met."""
    try:
        yield
    except MollituneError:
        raise
    except Exception as error:  # it may be anybody's code
        told = f"{type(part).__name__} fails: {type(error).__name__}: {first_line(error)}"
        raise MollituneError(told) from error


def _id(number: int) -> str:
    return f"{number:08d}"
