"""Which schedule to try next: the arms that every search needs first, then Optuna's choice."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from mollitune.schedules import Schedule, build

from .config import SearchConfig
from .space import FamilySpace, parameter_key, suggest

STARTUP_TRIALS = 8
_ILLEGAL_DRAWS = 100


class ScheduleStudy:
    """One Optuna study: the schedules tried for one model and what came of them.

    A schedule that was stopped early is told as pruned, and one that failed as failed; neither
    ever counts as a finished value.

    Arguments:
        spaces: The searched families by name.
        side: Side of the images in pixels.
        sampler: ``tpe`` or ``random``.
        seed: Seed of the sampler.
        workers: Trials at once; with several, TPE avoids the neighbourhood of running ones.
    """

    def __init__(
        self, spaces: Mapping[str, FamilySpace], side: int, sampler: str, seed: int, workers: int
    ) -> None:
        self._spaces = spaces
        self._side = side
        self._study = optuna.create_study(sampler=_sampler(sampler, seed, workers))
        self._running: dict[int, optuna.Trial] = {}

    def arm(self, trial: int, schedule: Schedule) -> None:
        """Note that a given schedule is tried; it teaches the sampler if it lies in the space."""
        space = self._spaces.get(schedule.family)
        point = None if space is None else space.point(schedule, self._side)
        if point is None:
            return
        keys = {parameter_key(schedule.family, name): value for name, value in point.items()}
        self._study.enqueue_trial({"family": schedule.family, **keys})
        self.ask(trial)

    def ask(self, trial: int) -> Schedule:
        """Choose the next schedule.

        Raises:
            ValueError: If 100 draws in a row were no legal schedule.
        """
        for attempt in range(1, _ILLEGAL_DRAWS + 1):
            asked = self._study.ask()
            try:
                schedule = suggest(asked, self._spaces, self._side)
            except ValueError:
                self._study.tell(asked, state=TrialState.FAIL)
                if attempt == _ILLEGAL_DRAWS:
                    raise
            else:
                break
        self._running[trial] = asked
        return schedule

    def tell(self, trial: int, outcome: str, value: float | None, step: int) -> None:
        """Say how a trial ended.

        Arguments:
            trial: Number of the trial; one that is not in the study is ignored.
            outcome: ``completed``, ``stopped`` or ``failed``.
            value: Its last FID on clean data, if there is one.
            step: Training steps at that value.
        """
        asked = self._running.pop(trial, None)
        if asked is None:
            return
        if outcome == "completed":
            self._study.tell(asked, value)
        elif outcome == "stopped":
            if value is not None:
                asked.report(value, step)
            self._study.tell(asked, state=TrialState.PRUNED)
        else:
            self._study.tell(asked, state=TrialState.FAIL)


class ScheduleSearcher(Searcher):  # type: ignore[misc]
    """Hands Ray Tune the trials of a search, each with number, seed, model and schedule.

    First come the arms, for each model vanilla and every family's default; then each model in
    turn gets what its own study proposes, since FIDs of different models do not compare.

    Arguments:
        config: The search.
        side: Side of the images in pixels.
    """

    def __init__(self, config: SearchConfig, side: int) -> None:
        super().__init__(metric="fid", mode="min")
        self._config = config
        spaces = {space.family: space for space in config.families if space.family != "vanilla"}
        self._models = [entry.name for entry in config.model]
        self._studies = {
            name: ScheduleStudy(spaces, side, config.sampler, config.seed + i, config.workers)
            for i, name in enumerate(self._models)
        }
        self._arms = list(arms(config, side))
        self._searched = bool(spaces)
        self._given = 0
        self._trials: dict[str, tuple[int, str]] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """Return the next trial's config, or ``FINISHED`` when all have been given."""
        trial = self._given
        if trial >= self._config.trials:
            return str(Searcher.FINISHED)
        self._given += 1
        if trial < len(self._arms):
            model, schedule = self._arms[trial]
            self._studies[model].arm(trial, schedule)
        else:
            model = self._models[trial % len(self._models)]
            schedule = self._studies[model].ask(trial) if self._searched else build("vanilla")
        self._trials[trial_id] = (trial, model)
        return {
            "trial": trial,
            "seed": self._config.seed,
            "model": model,
            "schedule": schedule.to_dict(),
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how the trial ended; unknown trials are ignored."""
        if trial_id not in self._trials:
            return
        trial, model = self._trials.pop(trial_id)
        last = result or {}
        fid = last.get("fid")
        value = fid if fid is not None and math.isfinite(fid) else None
        outcome = "failed" if error else outcome_of(last)
        usable = value if last.get("phase") == "clean" else None
        self._studies[model].tell(trial, outcome, usable, last.get("step", 0))

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: a search is resumed from its own tables, not from Ray's snapshots."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, see `save`."""


def arms(config: SearchConfig, side: int) -> Iterable[tuple[str, Schedule]]:
    """Yield what every search must try: vanilla and each family's default, for each model."""
    searched = [space for space in config.families if space.family != "vanilla"]
    for schedule in (build("vanilla"), *(space.default(side) for space in searched)):
        for entry in config.model:
            yield entry.name, schedule


def outcome_of(result: Mapping[str, Any]) -> str:
    """Return ``completed``, ``stopped`` or ``failed`` from the last result of a trial."""
    fid = result.get("fid")
    if result.get("failure") or fid is None:
        return "failed"
    if result["progress"] < 1:
        return "stopped"
    return "completed" if math.isfinite(fid) else "failed"


def _sampler(name: str, seed: int, workers: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # grouped, because each family has parameters of its own
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=STARTUP_TRIALS,
            multivariate=True,
            group=True,
            constant_liar=workers > 1,
        )
