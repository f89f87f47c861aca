"""Optuna's samplers over the conditional space of families, their parameters and the rest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from mollitune.schedules import Choice, Dimension, Float, Option

from .configuration import Configuration, settings_of
from .dimensions import contains, distribution
from .hyperspace import NOTHING, Hyperspace
from .samplers import Sampler, rng_of
from .source import Source
from .space import FamilySpace
from .stopping import Run

STARTUP_TRIALS = 8
_ILLEGAL_DRAWS = 100


class StudySampler:
    """Optuna's samplers, asked with a study of what was tried for one model and what came of it.

    A run that was stopped early is told as pruned at its step, and one that failed as failed;
    neither ever counts as a finished value. A repeated run is told as one more observation of the
    same point.

    Arguments:
        name: ``tpe`` (multivariate, each family a group of its own) or ``gp``.
        spaces: The searched families by name; vanilla alone for a search of hyperparameters.
        side: Side of the images in pixels.
        seed: Seed of the sampler.
        workers: Runs at once; with several, TPE avoids the neighbourhood of running ones.
        source: Where the proposed configurations are looked up.
        hyperspace: The hyperparameters that are searched, too.

    Attributes:
        trials: What the study is told, in the order in which it was tried.
    """

    def __init__(
        self,
        name: str,
        spaces: Mapping[str, FamilySpace],
        side: int,
        seed: int,
        workers: int,
        source: Source,
        hyperspace: Hyperspace = NOTHING,
    ) -> None:
        self._name = name
        self._spaces = spaces
        self._side = side
        self._seed = seed
        self._workers = workers
        self._source = source
        self._hyperspace = hyperspace
        self._places: dict[int, int] = {}
        self.trials: list[FrozenTrial] = []

    def ask(self, number: int, vanilla: bool = False) -> Configuration:
        """Choose the next configuration: of the families, whichever side is wanted.

        Raises:
            ValueError: If 100 draws in a row were no legal schedule.
        """
        seed = rng_of(self._seed, number).getrandbits(32)
        study = optuna.create_study(sampler=_sampler(self._name, seed, self._workers))
        study.add_trials(self.trials)
        for _ in range(_ILLEGAL_DRAWS - 1):
            asked = study.ask()
            try:
                return self._source.nearest(self._suggested(asked))
            except ValueError:  # a corner that the family itself refuses
                study.tell(asked, state=TrialState.FAIL)
        return self._source.nearest(self._suggested(study.ask()))

    def tried(self, number: int, configuration: Configuration) -> None:
        """Note what is tried; it teaches the study if it lies in the space."""
        self._source.take(configuration)
        schedule, settings = configuration.schedule, dict(configuration.settings)
        space = self._spaces.get(schedule.family)
        point = None if space is None else space.point(schedule, self._side)
        if space is None or point is None:
            return
        if not all(contains(d, settings[name]) for name, d in self._hyperspace.dimensions.items()):
            return
        params = {"family": schedule.family, **_keys(space, point), **settings}
        if self._fixed:
            rng = rng_of(self._seed, number)
            for other in self._spaces.values():
                drawn = {n: d.sample(rng) for n, d in other.dimensions(self._side).items()}
                params = {**_keys(other, drawn), **params}
        self._places[number] = len(self.trials)
        self.trials.append(
            optuna.trial.create_trial(
                state=TrialState.RUNNING, params=params, distributions=self._distributions(params)
            )
        )

    def started(self, run: Run) -> None:
        """Learn nothing: a configuration that is new was told already."""

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Say how a run ended; one whose schedule lies outside the space is ignored."""
        place = self._places.get(run.configuration)
        if place is None:
            return
        before = self.trials[place]
        complete = outcome == "completed" and value is not None
        if before.state != TrialState.RUNNING:
            if before.state == TrialState.COMPLETE and complete:
                self.trials.append(_ended(before, TrialState.COMPLETE, value))
        elif complete:
            self.trials[place] = _ended(before, TrialState.COMPLETE, value)
        elif outcome == "stopped":
            last = value if value is not None and math.isfinite(value) else None
            known = {} if last is None else {step: last}
            self.trials[place] = _ended(before, TrialState.PRUNED, last, known)
        else:
            self.trials[place] = _ended(before, TrialState.FAIL)

    @property
    def _fixed(self) -> bool:
        # a Gaussian process needs one fixed set of dimensions, so it gets those of all families
        return self._name == "gp"

    def _suggested(self, trial: optuna.Trial) -> Configuration:
        return suggest(trial, self._spaces, self._side, self._hyperspace, self._fixed)

    def _distributions(self, keys: Iterable[str]) -> dict[str, BaseDistribution]:
        known: dict[str, BaseDistribution] = {
            "family": CategoricalDistribution(list(self._spaces)),
            **{name: distribution(d) for name, d in self._hyperspace.dimensions.items()},
            **{
                parameter_key(space.family, name): distribution(dimension)
                for space in self._spaces.values()
                for name, dimension in space.dimensions(self._side).items()
            },
        }
        return {key: known[key] for key in keys}


class BothSides:
    """A sampler for vanilla and one for the rest: each side is a study of its own.

    Arguments:
        mollified: Chooses configurations with a schedule.
        vanilla: Chooses those without.
    """

    def __init__(self, mollified: Sampler, vanilla: Sampler) -> None:
        self._of = {False: mollified, True: vanilla}
        self._sides: dict[int, bool] = {}

    def ask(self, number: int, vanilla: bool = False) -> Configuration:
        """Choose the next configuration of a side."""
        return self._of[vanilla].ask(number, vanilla)

    def tried(self, number: int, configuration: Configuration) -> None:
        """Tell the side that it belongs to."""
        self._sides[number] = configuration.is_vanilla
        self._of[configuration.is_vanilla].tried(number, configuration)

    def started(self, run: Run) -> None:
        """Tell the side that it belongs to."""
        self._of[self._sides[run.configuration]].started(run)

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Tell the side that it belongs to."""
        self._of[self._sides[run.configuration]].tell(run, outcome, value, step)


def suggest(
    trial: optuna.Trial,
    spaces: Mapping[str, FamilySpace],
    side: int,
    hyperspace: Hyperspace = NOTHING,
    every_family: bool = False,
) -> Configuration:
    """Ask an Optuna trial for a configuration: the family, its own parameters, then the rest.

    Args:
        trial: A running Optuna trial.
        spaces: The searched families by name.
        side: Side of the images in pixels.
        hyperspace: The hyperparameters that are searched, too.
        every_family: Ask for the other families' parameters too, and drop them: some samplers
            model only what every trial has.

    Raises:
        ValueError: If the values make no legal schedule.
    """
    family = trial.suggest_categorical("family", list(spaces))
    points = {
        space.family: {
            name: _suggest(trial, parameter_key(space.family, name), dimension)
            for name, dimension in space.dimensions(side).items()
        }
        for space in spaces.values()
        if every_family or space.family == family
    }
    settings = {name: _suggest(trial, name, d) for name, d in hyperspace.dimensions.items()}
    return Configuration(spaces[family].schedule(points[family]), settings_of(settings))


def parameter_key(family: str, parameter: str) -> str:
    """Return the name of a family's parameter in Optuna: families may share parameter names."""
    return f"{family}.{parameter}"


def _suggest(trial: optuna.Trial, key: str, dimension: Dimension) -> Option:
    if isinstance(dimension, Choice):
        found = trial.suggest_categorical(key, dimension.options)
        assert found is not None  # which is no option
        return found
    low, high, log = dimension.low, dimension.high, dimension.log
    if isinstance(dimension, Float):
        return trial.suggest_float(key, low, high, log=log)
    return trial.suggest_int(key, dimension.low, dimension.high, log=log)


def _keys(space: FamilySpace, point: Mapping[str, Option]) -> dict[str, Option]:
    return {parameter_key(space.family, name): value for name, value in point.items()}


def _ended(
    trial: FrozenTrial,
    state: TrialState,
    value: float | None = None,
    intermediate: Mapping[int, float] | None = None,
) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=state,
        value=value,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=dict(intermediate or {}),
    )


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
