"""A race: the rungs are seeds, so everything that is compared was trained to the end.

Every configuration gets one complete run, the best 1/eta of these a second seed, the best 1/eta of
those a third. No value is early, and the finalists end with several seeds each.

| irace: Iterated racing for automatic algorithm configuration (Lopez-Ibanez et al., 2016)
| A System for Massively Parallel Hyperparameter Tuning (Li et al., 2020), for how one is promoted
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Score = Callable[[Mapping[int, Mapping[int, float]]], Mapping[int, float]]
"""From the FIDs of each configuration, by the number of the run, to what it is worth: the lower
the better."""


@dataclass
class Entry:
    """What is known of one configuration.

    Arguments:
        started: Runs that were started.
        values: FIDs of its complete runs, by the number of the run.
        out: Whether a run was stopped or failed.
    """

    started: int = 0
    values: dict[int, float] = field(default_factory=dict)
    out: bool = False

    @property
    def ended(self) -> int:
        """Runs that have ended."""
        return len(self.values) + self.out


@dataclass(frozen=True)
class Promotion:
    """A configuration that gets another seed.

    Arguments:
        configuration: Its number.
        rung: Complete runs behind it, less one.
        value: What it is worth.
        cutoff: The worst worth that was good enough.
        competitors: Configurations on the rung.
    """

    configuration: int
    rung: int
    value: float
    cutoff: float
    competitors: int


class Race:
    """Which configuration of one model deserves another seed.

    Arguments:
        eta: The best 1/eta of each rung are promoted, > 1.
        seeds: Most runs of one configuration, >= 1.
        score: What each configuration with complete runs is worth.
        least: Configurations with complete runs before which nobody is promoted.
    """

    def __init__(self, eta: float, seeds: int, score: Score, least: int = 1) -> None:
        self._eta = eta
        self._least = least
        self._seeds = seeds
        self._score = score
        self._entries: dict[int, Entry] = {}
        self._worth: Mapping[int, float] = {}

    def start(self, configuration: int) -> int:
        """Note that a run begins, and return how many there were before it."""
        entry = self._entries.setdefault(configuration, Entry())
        entry.started += 1
        return entry.started - 1

    def end(self, configuration: int, repeat: int, value: float | None) -> None:
        """Note how a run ended: its FID, or None if it was stopped or failed."""
        entry, self._worth = self._entries[configuration], {}
        if value is None:
            entry.out = True
        else:
            entry.values[repeat] = value

    def promotion(self) -> Promotion | None:
        """Return who gets the next seed, from the highest rung down; None if nobody."""
        if self._seeds < 2:
            return None  # scores take their time
        complete = {c: e.values for c, e in self._entries.items() if e.values}
        if len(complete) < self._least:
            return None
        self._worth = self._worth or self._score(complete)
        for rung in reversed(range(self._seeds - 1)):
            found = self._promotion(rung, self._worth)
            if found is not None:
                return found
        return None

    def _promotion(self, rung: int, worth: Mapping[int, float]) -> Promotion | None:
        on_rung = [c for c, e in self._entries.items() if e.ended > rung]
        fit = [c for c in on_rung if not self._entries[c].out]
        # ties go to the older configuration, whatever order the results came in
        best = sorted(fit, key=lambda c: (worth[c], c))[: math.floor(len(on_rung) / self._eta)]
        for configuration in best:
            if self._entries[configuration].started == rung + 1:
                cutoff = worth[best[-1]]
                return Promotion(configuration, rung, worth[configuration], cutoff, len(on_rung))
        return None
