"""Ray Tune's own schedulers and searchers in a search, with an account of what they compare.

They learn from the record as all else does, so a search of theirs is resumed as any. What we would
not do they may: FID of a run whose data are still mollified says how much noise is left.
Where a scheduler has ranked such values, the decision says so.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ray import cloudpickle, tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune._own import GIVEN, given, imported
from mollitune.schedules import Choice, Dimension, Float, Schedule, Vanilla
from mollitune.search.config import SearchConfig
from mollitune.search.policy.configuration import Configuration, settings_of
from mollitune.search.policy.decision import FOREIGN, UNLIKE, Decision
from mollitune.search.policy.proposer import Proposal
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.stopping import Run
from mollitune.search.store.journal import END, REPORT, START, Event

from .foreign import Fed, RandomSearcher
from .runs import OpenRun, run_of
from .scheduler import PolicyScheduler

ASHA, OPTUNA = "asha", "optuna"
REDUCTION = 4
"""Ray Tune's default: one in four goes on."""
_FAMILY = "family"


def plugged(
    config: SearchConfig, side: int, arms: Sequence[tuple[str, Configuration]]
) -> Plugged | None:
    """Return what a config plugs in; None if that is nothing.

    Args:
        config: The search.
        side: Side of the images in pixels.
        arms: Model and configuration of each run that comes first.

    Raises:
        MollituneError: If it cannot be made.
    """
    if config.scheduler is None and config.search_alg is None:
        return None
    return Plugged(config, side, arms)


class Plugged:
    """A scheduler, a searcher or both of Ray Tune in a search.

    Arguments:
        config: The search.
        side: Side of the images in pixels.
        arms: Model and configuration of each run that comes first.
    """

    def __init__(
        self, config: SearchConfig, side: int, arms: Sequence[tuple[str, Configuration]]
    ) -> None:
        objective = config.minimised
        metric, mode = objective.column, "max" if objective.negated else "min"
        searcher = _made(config.search_alg, "search_alg", partial(_optuna, config), Searcher)
        scheduler = _made(
            config.scheduler, "scheduler", lambda: _asha(config, metric, mode), TrialScheduler
        )
        self._objective = objective
        self._space = Space(config, side)
        self.fed = Fed(
            RandomSearcher({}) if searcher is None else searcher,
            scheduler,
            metric,
            mode,
            self._space.domains if searcher is not None else None,
        )
        known = ASHA if config.scheduler == ASHA else type(scheduler).__name__
        self.scheduler = None if scheduler is None else f"{FOREIGN}{known}"
        self.proposer = (
            None if searcher is None else PluggedProposer(self.fed, self._space, arms, config.seed)
        )

    def beside(self, own: PolicyScheduler) -> PluggedScheduler:
        """Return what learns from results beside our own early stopping."""
        return PluggedScheduler(self.fed, own, self.scheduler, self._objective.of)


class Space:
    """The space of a search as Ray Tune writes one: flat, with the family as a choice.

    Arguments:
        config: The search.
        side: Side of the images in pixels.

    Attributes:
        domains: Ray Tune's domain of each name.
    """

    def __init__(self, config: SearchConfig, side: int) -> None:
        self._families = {own.family: own for own in config.families}
        self._dimensions = {name: own.dimensions(side) for name, own in self._families.items()}
        self._models = {entry.name: entry for entry in config.model}
        names = list(dict.fromkeys(["vanilla", *self._families]))
        self.domains: dict[str, Any] = {_FAMILY: tune.choice(names)}
        if len(self._models) > 1:
            self.domains["model"] = tune.choice([*self._models])
        for family, found in self._dimensions.items():
            for name, parameter in found.items():
                self.domains[f"{family}.{name}"] = _domain(parameter)
        for entry in config.model:
            for name, own in entry.hyperspace.dimensions.items():
                self.domains[name] = _domain(own)

    def read(self, point: Mapping[str, Any]) -> tuple[str, Configuration]:
        """Return the model and the configuration at a point of the space."""
        model = str(point.get("model", next(iter(self._models))))
        known = self._models[model].hyperspace.dimensions
        settings = settings_of({name: point[name] for name in known})
        return model, Configuration(self._schedule(point), settings)

    def _schedule(self, point: Mapping[str, Any]) -> Schedule:
        family = str(point[_FAMILY])
        if family not in self._families:
            return Vanilla()
        own: FamilySpace = self._families[family]
        return own.schedule({n: point[f"{family}.{n}"] for n in self._dimensions[family]})


class PluggedProposer:
    """Proposes the arms, then what a searcher suggests, one run each.

    Arguments:
        fed: Holds the searcher.
        space: What its suggestions mean.
        arms: Model and configuration of each run that comes first; the searcher is not told.
        seed: Seed of all runs.
    """

    def __init__(
        self, fed: Fed, space: Space, arms: Sequence[tuple[str, Configuration]], seed: int
    ) -> None:
        self._fed = fed
        self._space = space
        self._arms = list(arms)
        self._seed = seed
        self._count = 0
        self._suggested: tuple[int, dict[str, Any] | None] = (-1, None)

    @property
    def exhausted(self) -> bool:
        """Whether the searcher proposes nothing more."""
        return self._fed.finished

    def next(self) -> Proposal | None:
        """Return the next run; None if the searcher has none."""
        number = self._count
        if number < len(self._arms):
            return self._proposal(number, *self._arms[number])
        point = self._suggest(number)
        return None if point is None else self._proposal(number, *self._space.read(point))

    def started(self, proposal: Proposal) -> Sequence[Decision]:
        """Learn that a run was started; one of the record brings the searcher to where it was.

        Raises:
            ValueError: If it is not the next one by its number.
        """
        if proposal.run.trial != self._count:
            raise ValueError(f"trial {proposal.run.trial} is not the next one, {self._count}")
        if self._count >= len(self._arms):
            self._suggest(self._count)
        self._count += 1
        return ()

    def ended(
        self,
        trial: int,
        outcome: str,
        value: float | None,
        step: int,
        second: float | None = None,
    ) -> Sequence[Decision]:
        """Learn nothing here: `PluggedScheduler` tells the searcher, as it is used to."""
        return ()

    def _suggest(self, number: int) -> dict[str, Any] | None:
        # once for each number, live and on resume; where there was none, it may come later
        if self._suggested[0] != number or self._suggested[1] is None:
            self._suggested = number, self._fed.suggest(number)
        return self._suggested[1]

    def _proposal(self, number: int, model: str, configuration: Configuration) -> Proposal:
        baseline = configuration.is_vanilla and number < len(self._arms)
        return Proposal(Run(number, number, model, 0, baseline), configuration, self._seed)


class PluggedScheduler:
    """Judges results by a scheduler of Ray Tune, and notes whether what it compared is alike.

    Arguments:
        fed: Holds scheduler and searcher.
        own: Our own early stopping, which decides where no scheduler is plugged in.
        name: The scheduler's; None without one.
        value: The objective of a result.
    """

    def __init__(
        self,
        fed: Fed,
        own: PolicyScheduler,
        name: str | None,
        value: Callable[[Mapping[str, Any]], float | None],
    ) -> None:
        self._fed = fed
        self._own = own
        self._name = name
        self._value = value
        self._levels: dict[int, dict[int, float]] = {}

    @property
    def stopped(self) -> set[int]:
        """Numbers of the trials that were stopped and whose end is not recorded yet."""
        return self._own.stopped

    def apply(self, event: Event, run: OpenRun) -> Sequence[Decision]:
        """Learn from an event; return what was decided on it."""
        number, decisions = event["trial"], []
        if event["event"] == START:
            self._fed.started(number, {"trial": number, "model": run.config["model"]})
        elif event["event"] == REPORT and "fid" in event["result"]:
            decisions = self._judged(number, event["result"], run)
        elif event["event"] == END:
            how = {"completed": "completed", "stopped": "stopped"}.get(event["outcome"], "failed")
            last = _told(run.last) if "fid" in run.last else None
            self._fed.ended(number, last, "failed" if last is None else how)
        return [*decisions, *self._own.apply(event, run)]

    def _judged(self, number: int, result: Mapping[str, Any], run: OpenRun) -> list[Decision]:
        step, level = result["step"], result["level"]
        others = dict(self._levels.setdefault(step, {}))
        self._levels[step][number] = level
        stop = self._fed.reported(number, _told(result))
        if self._name is None or result["progress"] >= 1:
            return []
        if stop:
            self.stopped.add(number)
        unlike = [own for own in others.values() if not math.isclose(own, level, abs_tol=1e-9)]
        reason = f"of {len(others)} other values at this step all are of as much noise"
        if unlike:
            low, high = min(unlike), max(unlike)
            reason = (
                f"{UNLIKE}: this value is of noise level {level:.2g}, {len(unlike)} of the "
                f"{len(others)} others at this step are of {low:.2g} to {high:.2g}"
            )
        own = run_of(run.config)
        return [
            Decision(
                trial=number,
                configuration=own.configuration,
                step=step,
                progress=result["progress"],
                policy=self._name,
                rung=len([s for s in self._levels if s <= step]) - 1,
                action="stop" if stop else "continue",
                value=self._value(result),
                cutoff=None,
                competitors=len(others),
                phase=result["phase"],
                reason=reason,
            )
        ]


def _told(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as Ray Tune's schedulers and searchers know one."""
    numbers = {k: v for k, v in result.items() if isinstance(v, int | float | str)}
    return {**numbers, "training_iteration": result["step"], "done": result["progress"] >= 1}


def _domain(found: Dimension) -> Any:
    if isinstance(found, Choice):
        return tune.choice(list(found.options))
    if isinstance(found, Float):
        return (tune.loguniform if found.log else tune.uniform)(found.low, found.high)
    return (tune.lograndint if found.log else tune.randint)(found.low, found.high + 1)


def _asha(config: SearchConfig, metric: str, mode: str) -> TrialScheduler:
    longest = max(config.steps_of(entry.name) for entry in config.model)
    return ASHAScheduler(
        time_attr="step",
        metric=metric,
        mode=mode,
        max_t=longest,
        grace_period=max(1, round(longest * config.fid.every)),
        reduction_factor=REDUCTION,
    )


def _optuna(config: SearchConfig) -> Searcher:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = (config.search_alg or "").partition(":")[2] or "TPESampler"
    return OptunaSearch(sampler=getattr(optuna.samplers, name)(seed=config.seed))


def _made(name: str | None, key: str, ours: Callable[[], Any], kind: type) -> Any:
    """Return the scheduler or searcher that a config names; None if it names none.

    Raises:
        MollituneError: If it cannot be made, or is something else.
    """
    if name is None:
        return None
    try:
        made = ours() if name in (ASHA, OPTUNA) or name.startswith(f"{OPTUNA}:") else _own(name)
    except Exception as error:  # the user's code may raise anything
        raise MollituneError(
            f"{key} {name}: {type(error).__name__}: {first_line(error)}"
        ) from None
    if not isinstance(made, kind):
        raise MollituneError(
            f"{key} {name}: {type(made).__name__} is no {kind.__name__} of Ray Tune"
        )
    return made


def kept(found: Any) -> str:
    """Keep a copy of a scheduler or searcher, as it is before it has learned; return its name.

    Raises:
        MollituneError: If it cannot be pickled.
    """
    try:
        copy = cloudpickle.dumps(found)
    except Exception as error:
        told = f"{type(found).__name__} cannot be pickled ({first_line(error)})"
        raise MollituneError(f"{told}; give a function that returns one") from None
    name = f"{GIVEN}:{type(found).__name__}_{hashlib.sha256(copy).hexdigest()[:8]}"
    given[name] = copy
    return name


def _own(name: str) -> Any:
    found = imported(name)
    # what was given as an object is a copy, made before it had learned anything
    return cloudpickle.loads(found) if isinstance(found, bytes) else found()
