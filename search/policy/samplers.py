"""Samplers that need no study: uniform draws, and a Gaussian process over configurations."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from mollitune.schedules import SAME_CURVE

from .configuration import Configuration
from .earlier import Earlier
from .hyperspace import NOTHING, Hyperspace
from .scales import Array
from .several import Several
from .source import CANDIDATES, Source, distance
from .stopping import Run
from .surrogate import ShapeSurrogate, fitted

STARTUP = 6
AROUND = 4
"""Best configurations around which a search over hyperparameters looks, too."""


class Sampler(Protocol):
    """Chooses the next configuration of one model, from what came of the ones before.

    An ask draws by a seed of its own, or of the last result, and changes nothing: what counts is
    which one was `tried` in the end. So a search that is resumed need not ask again.
    """

    def ask(self, number: int, vanilla: bool = False) -> Configuration:
        """Choose a new configuration.

        Arguments:
            number: The number that it will have.
            vanilla: Whether it is to be one without mollification, or one with it.
        """

    def tried(self, number: int, configuration: Configuration) -> None:
        """Note that a configuration is tried, whoever chose it."""

    def started(self, run: Run) -> None:
        """Note that a run begins, of a new configuration or of one that was tried."""

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Say how a run ended.

        Arguments:
            run: The run.
            outcome: ``completed``, ``stopped`` or ``failed``.
            value: FID of the completed run, or what else is minimised; of a stopped one its last
                on clean data, if any.
            step: Training steps at that value.
        """


def rng_of(seed: int, configuration: int) -> random.Random:
    """Return what draws for one ask alone: the one before need not have been made here."""
    return random.Random(f"ask {seed} {configuration}")


class RandomSampler:
    """Draws uniformly from a source, families equally often.

    Arguments:
        source: Where configurations come from.
        seed: Seed of the choice.
        hyperspace: The hyperparameters that are searched; the source draws them.
    """

    def __init__(self, source: Source, seed: int, hyperspace: Hyperspace = NOTHING) -> None:
        self._source = source
        self._seed = seed

    def ask(self, number: int, vanilla: bool = False) -> Configuration:
        """Draw the next configuration."""
        return self._source.draw(rng_of(self._seed, number), vanilla)

    def tried(self, number: int, configuration: Configuration) -> None:
        """Note a tried configuration."""
        self._source.take(configuration)

    def started(self, run: Run) -> None:
        """Learn nothing."""

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Learn nothing."""


class ShapeSampler:
    """Takes the candidate whose shape promises the largest improvement, across families.

    A Gaussian process over shape coordinates and hyperparameters is fitted to all complete runs.
    Where hyperparameters are searched, as many candidates are neighbours of the best, and each
    side, vanilla and the rest, is to improve on its own best. Runs that are still going on count
    as if they had come out as expected, so that others look elsewhere; stopped and failed ones as
    no better than half of the complete ones, so that nobody looks there again. Neither ever counts
    as a finished value where a schedule is recommended.

    | Efficient Global Optimization of Expensive Black-Box Functions (Jones et al., 1998)
    | Kriging Is Well-Suited to Parallelize Optimization (Ginsbourger et al., 2010)

    Arguments:
        source: Where configurations come from.
        seed: Seed of the first draws.
        hyperspace: The hyperparameters that are searched.
        startup: Complete configurations before the process is asked; one, where searches went
            before.
        earlier: What these have shown.
    """

    def __init__(
        self,
        source: Source,
        seed: int,
        hyperspace: Hyperspace = NOTHING,
        startup: int = STARTUP,
        earlier: tuple[Earlier, ...] = (),
    ) -> None:
        self._source = source
        self._seed = seed
        self._random = RandomSampler(source, seed)
        self._startup = 1 if earlier else startup
        self._earlier = earlier
        self._hyperspace = hyperspace
        self._budgets: tuple[float, ...] = ()
        self._configurations: dict[int, Configuration] = {}
        self._values: dict[int, dict[int, float]] = {}
        self._lost: set[int] = set()
        self._settled = 0  # configurations that were tried when the last result came
        self._choices: dict[bool, _Choice] = {}

    def ask(self, number: int, vanilla: bool = False) -> Configuration:
        """Choose the next configuration."""
        if len(self._values) < self._startup:
            return self._random.ask(number, vanilla)
        if vanilla not in self._choices:
            self._choices[vanilla] = self._choice(vanilla)
        choice = self._choices[vanilla]
        tried = list(self._configurations.values())
        for configuration in tried[choice.seen :]:
            choice.begin(configuration)
        choice.seen = len(tried)
        return choice.best()

    def _choice(self, vanilla: bool) -> _Choice:
        """Return what is chosen from until the next result, by what was known at the last."""
        rng = rng_of(self._seed, self._settled)
        candidates = self._source.candidates(rng, vanilla)
        surrogate, tried, fids = self._surrogate()
        best = min(fids)
        if self._hyperspace:
            side = [i for i, c in enumerate(tried) if c.is_vanilla is vanilla]
            ranked = sorted(side or range(len(tried)), key=lambda i: fids[i])
            # each side against its own best: both are to be tuned
            best = fids[ranked[0]]
            top = [tried[i] for i in ranked[:AROUND]]
            candidates = [*candidates, *self._source.near(top, CANDIDATES, rng)]
        going_on = [self._configurations[c] for c in self._unknown() if c not in self._lost]
        candidates = [*candidates, *going_on]
        # with hyperparameters, what is peculiar to a point is no reason to try it: all may have it
        several = surrogate.several(candidates, own=not self._hyperspace)
        choice = _Choice(candidates, several, best, self._hyperspace, self._settled)
        for configuration in going_on:
            choice.begin(configuration)
        return choice

    def tried(self, number: int, configuration: Configuration) -> None:
        """Note a tried configuration."""
        self._configurations[number] = configuration
        if len(self._values) < self._startup:
            self._settle()

    def started(self, run: Run) -> None:
        """Learn nothing: a configuration that is new was told already."""

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Learn from a complete run, and where not to look from another."""
        if outcome == "completed" and value is not None:
            self._values.setdefault(run.configuration, {})[run.repeat] = value
        elif run.configuration not in self._values:
            self._lost.add(run.configuration)
        self._settle()

    def _settle(self) -> None:
        """Let the next choice be made by all that is known now."""
        for configuration in list(self._configurations.values())[self._settled :]:
            self._source.take(configuration)
        self._settled = len(self._configurations)
        self._choices.clear()

    def _surrogate(self) -> tuple[ShapeSurrogate, list[Configuration], list[float]]:
        """Return the process with what is believed of others, what is complete, and its FIDs."""
        complete = sorted(self._values)  # the order in which the race has them, too
        known = [self._configurations[c] for c in complete]
        values = [list(self._values[c].values()) for c in complete]
        seeds = [list(self._values[c]) for c in complete]
        surrogate = fitted(known, values, seeds, self._hyperspace, self._budgets, self._earlier)
        fids = surrogate.tried().fid.tolist()
        believed = self._believed()
        if not believed:
            return surrogate, known, fids
        expected = surrogate.at([self._configurations[c] for c, _ in believed]).fid
        floors = [self._floor(c, known, values) for c, _ in believed]
        places, everything = {c: i for i, c in enumerate(complete)}, list(known)
        for (c, seed), value, floor in zip(believed, expected.tolist(), floors, strict=True):
            if c not in places:
                places[c] = len(everything)
                everything.append(self._configurations[c])
                values.append([])
                seeds.append([])
            values[places[c]].append(max(value, floor))
            seeds[places[c]].append(seed)
        # what is only believed says nothing new of the scales
        with_believed = ShapeSurrogate(
            everything,
            values,
            seeds,
            self._hyperspace,
            scales=surrogate.draws,
            always=[places[c] for c, _ in believed if c not in self._lost],
            budgets=self._budgets,
            earlier=self._earlier,
        )
        return with_believed, known, fids

    def _unknown(self) -> list[int]:
        """Configurations that were tried at the last result without a value: going on, or lost."""
        return [c for c in list(self._configurations)[: self._settled] if c not in self._values]

    def _believed(self) -> list[tuple[int, int]]:
        """Runs of which a value is only believed: numbers of configurations, with a repeat."""
        return [(c, 0) for c in self._unknown() if c in self._lost]

    def _floor(
        self, lost: int, known: Sequence[Configuration], values: Sequence[Sequence[float]]
    ) -> float:
        """The least that is believed of a run: of a lost one the middle of its budget."""
        scale = self._configurations[lost].scale
        alike = [np.mean(v) for c, v in zip(known, values, strict=True) if c.scale == scale]
        return float(np.median(alike)) if lost in self._lost and alike else -math.inf


class _Choice:
    """Candidates, of which the best begin to run one after the other.

    Arguments:
        candidates: The candidates.
        several: What is believed of them.
        best: The FID that is to be improved on.
        hyperspace: The hyperparameters in which they may differ.
        seen: How many configurations were tried before.
    """

    def __init__(
        self,
        candidates: Sequence[Configuration],
        several: Several,
        best: float,
        hyperspace: Hyperspace,
        seen: int,
    ) -> None:
        self._candidates = candidates
        self._several = several
        self._best = best
        self._hyperspace = hyperspace
        self.seen = seen
        self._begun: set[int] = set()

    def begin(self, configuration: Configuration) -> None:
        """Note that a configuration is tried, of these or another."""
        left = (i for i, c in enumerate(self._candidates) if c == configuration)
        number = next((i for i in left if i not in self._begun), None)
        if number is not None:
            self._begun.add(number)
            self._several.begin(number)

    @property
    def gain(self) -> Array:
        """The expected improvement of each candidate."""
        return self._several.belief.improvement(self._best)

    def best(self) -> Configuration:
        """Return the candidate that promises most, if there are others none that runs already."""
        begun = [self._candidates[i] for i in self._begun]
        ranked = np.argsort(-self.gain, kind="stable").tolist()
        order = [self._candidates[i] for i in ranked if i not in self._begun]
        new = (
            c
            for c in order
            if all(distance(c, other, self._hyperspace) > SAME_CURVE for other in begun)
        )
        return next(new, order[0] if order else begun[0])


Build = Callable[[Source, int, Hyperspace], Sampler]
"""From a source, a seed and the searched hyperparameters to a sampler."""
