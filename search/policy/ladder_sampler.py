"""What to train next where production's budget is another one than those that are trained."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from .configuration import Configuration
from .earlier import Earlier
from .hyperspace import NOTHING, Hyperspace
from .ladder import Ladder
from .samplers import AROUND, ShapeSampler, rng_of
from .scales import Array
from .source import CANDIDATES, Source
from .stopping import Run
from .surrogate import ShapeSurrogate

_LOOKED_AT = 16
"""Configurations, of those tried and of new ones each, whose runs are weighed at every budget."""
_Z = np.linspace(-5, 5, 101)
_WEIGHTS = np.exp(-(_Z**2) / 2) / np.exp(-(_Z**2) / 2).sum()
"""Results of a run, in standard deviations from what is expected, and their probabilities."""


class LadderSampler(ShapeSampler):
    """Takes what tells most of the best configuration at production's budget, at equal cost.

    What is to be found is the configuration with the lowest FID at the target. A run, of whatever
    configuration and at whatever budget, moves what is believed of it and of all that is like it.
    Weighed is what the training steps of the longest run buy of each, one such run or as many
    shorter ones on further seeds: how much lower the lowest expectation at the target will be
    after them, on average over their results. The first of these runs is taken. So one rule
    decides on new configurations, longer runs and further seeds.

    | The Knowledge-Gradient Policy for Correlated Normal Beliefs (Frazier et al., 2009)
    | Practical Multi-fidelity Bayesian Optimization for Hyperparameter Tuning (Wu et al., 2020)

    Arguments:
        source: As for `ShapeSampler`.
        seed: As for `ShapeSampler`.
        ladder: The budgets that are trained, and the target.
        hyperspace: As for `ShapeSampler`.
        earlier: As for `ShapeSampler`.
    """

    def __init__(
        self,
        source: Source,
        seed: int,
        ladder: Ladder,
        hyperspace: Hyperspace = NOTHING,
        earlier: tuple[Earlier, ...] = (),
    ) -> None:
        super().__init__(source, seed, hyperspace, earlier=earlier)
        self._ladder = ladder
        self._budgets = (*ladder.scales, ladder.target)
        self._open: dict[int, Run] = {}

    def tried(self, number: int, configuration: Configuration) -> None:
        """Note a tried configuration."""
        super().tried(number, configuration)
        self._settle()

    def started(self, run: Run) -> None:
        """Note that a run begins."""
        self._open[run.trial] = run

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Learn from a complete run, and where not to look from another."""
        del self._open[run.trial]
        super().tell(run, outcome, value, step)

    def ask(self, number: int, vanilla: bool = False) -> Configuration:
        """Choose the next run: a new configuration at some budget, or one that was tried."""
        if len(self._values) < self._startup:
            return self._random.ask(number, vanilla).at(self._ladder.scales[0])
        surrogate, tried, _ = self._surrogate()
        found = self._promising(surrogate, tried, rng_of(self._seed, number), vanilla)
        runs = [c.at(scale) for scale in self._ladder.scales for c in found]
        seeds = [self._ladder.scales[-1] / c.scale for c in runs]
        moved = surrogate.moved(runs, found, seeds)
        chosen = runs[int(knowledge_gradient(surrogate.at(found).location, moved).argmax())]
        # the very object that was tried: the proposer knows it by that
        return next((c for c in self._configurations.values() if c == chosen), chosen)

    def _promising(
        self,
        surrogate: ShapeSurrogate,
        tried: Sequence[Configuration],
        rng: random.Random,
        vanilla: bool,
    ) -> list[Configuration]:
        """Return what may be the best at the target, tried or not, the likeliest of each."""
        target = self._ladder.target
        known = list(dict.fromkeys(c.at(target) for c in tried))
        if self._hyperspace:
            known = [c for c in known if c.is_vanilla is vanilla] or known
        believed = surrogate.at(known)
        order = np.argsort(believed.location, kind="stable")
        new = list(self._source.candidates(rng, vanilla))
        if self._hyperspace:
            top = [known[i] for i in order[:AROUND].tolist()]
            new += self._source.near(top, CANDIDATES, rng)
        new = [c.at(target) for c in new]
        of_new = surrogate.at(new, own=not self._hyperspace)
        lowest = float(believed.fid.min())
        found = [known[order[0]]]
        for belief, own in ((believed, known), (of_new, new)):
            likeliest = np.argsort(-belief.improvement(lowest), kind="stable")[:_LOOKED_AT]
            found += [own[i] for i in likeliest.tolist()]
        return list(dict.fromkeys(found))

    def _believed(self) -> list[tuple[int, int]]:
        """What a value is only believed of, further seeds among it."""
        lost = [(c, 0) for c in sorted(self._lost)]
        return lost + [(run.configuration, run.repeat) for run in self._open.values()]


def knowledge_gradient(expected: Array, moved: Array) -> Array:
    """How much lower the lowest expectation of m configurations will be after each of n runs.

    Args:
        expected: What is expected now, with shape (m,).
        moved: As `ShapeSurrogate.moved` returns it, with shape (n, m).

    Returns:
        The mean over the results of a run, with shape (n,); never negative.
    """
    after = (expected + moved[:, None, :] * _Z[:, None]).min(2)
    gain: Array = expected.min() - after @ _WEIGHTS
    return np.maximum(gain, 0.0)
