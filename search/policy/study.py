"""Optuna's samplers over the conditional space of families and their parameters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import optuna
from optuna.trial import TrialState

from mollitune.schedules import Schedule

from .source import Source
from .space import FamilySpace, parameter_key, suggest
from .stopping import Run

STARTUP_TRIALS = 8
_ILLEGAL_DRAWS = 100


class StudySampler:
    """One Optuna study: the schedules tried for one model and what came of them.

    A run that was stopped early is told as pruned at its step, and one that failed as failed;
    neither ever counts as a finished value. A repeated run is told as one more observation of the
    same point.

    Arguments:
        name: ``tpe`` (multivariate, each family a group of its own) or ``gp``.
        spaces: The searched families by name.
        side: Side of the images in pixels.
        seed: Seed of the sampler.
        workers: Runs at once; with several, TPE avoids the neighbourhood of running ones.
        source: Where the proposed schedules are looked up.
    """

    def __init__(
        self,
        name: str,
        spaces: Mapping[str, FamilySpace],
        side: int,
        seed: int,
        workers: int,
        source: Source,
    ) -> None:
        self._spaces = spaces
        self._side = side
        self._source = source
        # a Gaussian process needs one fixed set of dimensions, so it gets those of all families
        self._all = name == "gp"
        self._study = optuna.create_study(sampler=_sampler(name, seed, workers))
        self._asked: dict[int, optuna.Trial] = {}
        self._ended: dict[int, optuna.trial.FrozenTrial] = {}

    def arm(self, configuration: int, schedule: Schedule) -> None:
        """Note that a given schedule is tried; it teaches the sampler if it lies in the space."""
        self._source.take(schedule)
        space = self._spaces.get(schedule.family)
        point = None if space is None else space.point(schedule, self._side)
        if point is None:
            return
        keys = {parameter_key(schedule.family, name): value for name, value in point.items()}
        self._study.enqueue_trial({"family": schedule.family, **keys})
        self._asked[configuration] = self._ask()[0]

    def ask(self, configuration: int) -> Schedule:
        """Choose the next schedule.

        Raises:
            ValueError: If 100 draws in a row were no legal schedule.
        """
        asked, proposed = self._ask()
        schedule = self._source.nearest(proposed)
        if schedule is proposed:
            self._source.take(schedule)
            self._asked[configuration] = asked
        else:  # the study must learn from what is trained, not from what it asked for
            self._study.tell(asked, state=TrialState.FAIL)
            self.arm(configuration, schedule)
        return schedule

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Say how a run ended; one whose schedule lies outside the space is ignored."""
        asked = self._asked.pop(run.configuration, None)
        if asked is None:
            self._repeat(run.configuration, outcome, value)
            return
        if outcome == "completed" and value is not None:
            self._ended[run.configuration] = self._study.tell(asked, value)
        elif outcome == "stopped":
            if value is not None and math.isfinite(value):
                asked.report(value, step)
            self._study.tell(asked, state=TrialState.PRUNED)
        else:
            self._study.tell(asked, state=TrialState.FAIL)

    def _repeat(self, configuration: int, outcome: str, value: float | None) -> None:
        first = self._ended.get(configuration)
        if first is None or outcome != "completed" or value is None:
            return
        again = optuna.trial.create_trial(
            params=first.params, distributions=first.distributions, value=value
        )
        self._study.add_trial(again)

    def _ask(self) -> tuple[optuna.Trial, Schedule]:
        for attempt in range(1, _ILLEGAL_DRAWS + 1):
            asked = self._study.ask()
            try:
                return asked, suggest(asked, self._spaces, self._side, self._all)
            except ValueError:
                self._study.tell(asked, state=TrialState.FAIL)
                if attempt == _ILLEGAL_DRAWS:
                    raise
        raise AssertionError("unreachable")


def _sampler(name: str, seed: int, workers: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "gp":
            return optuna.samplers.GPSampler(
                seed=seed, n_startup_trials=STARTUP_TRIALS, deterministic_objective=False
            )
        # grouped, because each family has parameters of its own
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=STARTUP_TRIALS,
            multivariate=True,
            group=True,
            constant_liar=workers > 1,
        )


optuna.logging.set_verbosity(optuna.logging.WARNING)
