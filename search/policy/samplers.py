"""Samplers that need no study: uniform draws, and a Gaussian process over shapes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

import numpy as np

from mollitune.schedules import Schedule

from .source import Source
from .stopping import Run
from .surrogate import ShapeSurrogate, fitted

STARTUP = 6


class Sampler(Protocol):
    """Chooses the next schedule for one model, from what came of the ones before.

    Each ask has its own seed and changes nothing: what counts is which schedule was `tried` in the
    end. So a search that is resumed need not ask again.
    """

    def ask(self, configuration: int) -> Schedule:
        """Choose the schedule of a new configuration."""

    def tried(self, configuration: int, schedule: Schedule) -> None:
        """Note that a schedule is tried, whoever chose it."""

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Say how a run ended.

        Arguments:
            run: The run.
            outcome: ``completed``, ``stopped`` or ``failed``.
            value: FID of the completed run; of a stopped one its last on clean data, if any.
            step: Training steps at that value.
        """


def rng_of(seed: int, configuration: int) -> random.Random:
    """Return what draws for one ask alone: the one before need not have been made here."""
    return random.Random(f"ask {seed} {configuration}")


class RandomSampler:
    """Draws uniformly from a source, families equally often.

    Arguments:
        source: Where schedules come from.
        seed: Seed of the choice.
    """

    def __init__(self, source: Source, seed: int) -> None:
        self._source = source
        self._seed = seed

    def ask(self, configuration: int) -> Schedule:
        """Draw the next schedule."""
        rng = rng_of(self._seed, configuration)
        return rng.choice(self._source.candidates(rng))

    def tried(self, configuration: int, schedule: Schedule) -> None:
        """Note a tried schedule."""
        self._source.take(schedule)

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Learn nothing."""


class ShapeSampler:
    """Takes the candidate whose shape promises the largest improvement, across families.

    A Gaussian process over shape coordinates is fitted to all complete runs. Runs that are still
    going on count as if they had come out as expected, so that others look elsewhere; stopped and
    failed ones as no better than half of the complete ones, so that nobody looks there again.
    Neither ever counts as a finished value where a schedule is recommended.

    | Efficient Global Optimization of Expensive Black-Box Functions (Jones et al., 1998)
    | Kriging Is Well-Suited to Parallelize Optimization (Ginsbourger et al., 2010)

    Arguments:
        source: Where schedules come from.
        seed: Seed of the first draws.
        startup: Complete configurations before the process is asked.
    """

    def __init__(self, source: Source, seed: int, startup: int = STARTUP) -> None:
        self._source = source
        self._seed = seed
        self._random = RandomSampler(source, seed)
        self._startup = startup
        self._schedules: dict[int, Schedule] = {}
        self._values: dict[int, dict[int, float]] = {}
        self._lost: set[int] = set()

    def ask(self, configuration: int) -> Schedule:
        """Choose the next schedule."""
        if len(self._values) < self._startup:
            return self._random.ask(configuration)
        candidates = self._source.candidates(rng_of(self._seed, configuration))
        surrogate, best = self._surrogate()
        gain = surrogate.at(candidates).improvement(best)
        return candidates[int(np.argmax(gain))]

    def tried(self, configuration: int, schedule: Schedule) -> None:
        """Note a tried schedule."""
        self._source.take(schedule)
        self._schedules[configuration] = schedule

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Learn from a complete run, and where not to look from another."""
        if outcome == "completed" and value is not None:
            self._values.setdefault(run.configuration, {})[run.repeat] = value
        elif run.configuration not in self._values:
            self._lost.add(run.configuration)

    def _surrogate(self) -> tuple[ShapeSurrogate, float]:
        """Return the process with beliefs about open runs, and the best tried, as believed."""
        complete = sorted(self._values)  # the order in which the race has them, too
        schedules = [self._schedules[c] for c in complete]
        values = [list(self._values[c].values()) for c in complete]
        seeds = [list(self._values[c]) for c in complete]
        surrogate = fitted(schedules, values, seeds)
        best = float(surrogate.tried().fid.min())
        open_runs = [c for c in self._schedules if c not in self._values]
        if not open_runs:
            return surrogate, best
        expected = surrogate.at([self._schedules[c] for c in open_runs]).fid
        middle = float(np.median([np.mean(v) for v in values]))
        floors = [middle if c in self._lost else 0.0 for c in open_runs]
        believed = [[max(float(e), f)] for e, f in zip(expected, floors, strict=True)]
        everything = [*schedules, *(self._schedules[c] for c in open_runs)]
        first = [[0]] * len(open_runs)
        running = [len(schedules) + i for i, c in enumerate(open_runs) if c not in self._lost]
        told = [*values, *believed]
        # what is only believed says nothing new of the scales
        scales = surrogate.scales
        return ShapeSurrogate(everything, told, [*seeds, *first], scales, always=running), best


Build = Callable[[Source, int], Sampler]
"""From a source and a seed to a sampler."""
