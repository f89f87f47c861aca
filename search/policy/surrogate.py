"""What the shape of a schedule says about its FID: a Gaussian process over shape features.

Seeds move FID as much as schedules do, so the smallest of many noisy values is mostly luck. The
process shares what neighbouring shapes have shown, and shrinks each schedule's own mean towards
it.

| Gaussian Processes for Machine Learning (Rasmussen and Williams, 2006), chapters 2 and 5
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from .belief import Belief
from .configuration import Configuration
from .earlier import Earlier
from .hyperspace import NOTHING, Hyperspace
from .process import NEW, Indices, Points, Runs, fit, one_thread
from .scales import Array, Draws, Hyperparameters, Kinds, adapted_draws, prior_draws
from .several import Several
from .shape import COORDINATES, coordinates

MODELLED = 8
"""Schedules below which nothing is modelled: the mean over seeds is all that is believed."""
MOST = 300
"""Runs that are modelled at most: time grows with their third power, memory with the second."""
_ADAPTED = 2  # how often draws are made anew, nearer to what explains the runs
_SOME = 60  # runs that this is done with
_KEPT = 48  # draws that are kept then, to be solved for with all runs
_EFFECTIVE = 30
_TAIL = 1e-3  # share that the least draws may hold together, to be dropped in the end


def expected_fid(
    configurations: Sequence[Configuration],
    values: Sequence[Sequence[float]],
    seeds: Sequence[Sequence[int]] | None = None,
    hyperspace: Hyperspace = NOTHING,
    earlier: tuple[Earlier, ...] = (),
) -> list[float]:
    """Return the FID to expect of each configuration on a fresh seed; the lowest is to be chosen.

    Args:
        configurations: Configurations with complete runs of one model, n of them.
        values: For each its FIDs, one per run, measured alike; or what else is minimised.
        seeds: For each the seeds of these runs, see `ShapeSurrogate`.
        hyperspace: The hyperparameters in which they may differ.
        earlier: What earlier searches have shown.

    Returns:
        The belief of a `ShapeSurrogate` about each configuration, or the mean over its runs while
        there are fewer than `MODELLED`, and nothing went before.

    Raises:
        ValueError: As for `ShapeSurrogate`.
    """
    _check(configurations, values, seeds)
    if len(configurations) < MODELLED and not earlier:
        return [float(np.mean(v)) for v in values]
    surrogate = fitted(configurations, values, seeds, hyperspace, earlier=earlier)
    return [float(fid) for fid in surrogate.tried().fid]


def fitted(
    configurations: Sequence[Configuration],
    values: Sequence[Sequence[float]],
    seeds: Sequence[Sequence[int]] | None = None,
    hyperspace: Hyperspace = NOTHING,
    budgets: tuple[float, ...] = (),
    earlier: tuple[Earlier, ...] = (),
) -> ShapeSurrogate:
    """Return a `ShapeSurrogate`: the last one, if it is asked for once more.

    A search that proposes a run asks twice, for the race and for the sampler.
    """
    alike = None if seeds is None else tuple(map(tuple, seeds))
    own = tuple(configurations), tuple(map(tuple, values)), alike
    return _fitted(*own, hyperspace, budgets, earlier)


@lru_cache(maxsize=1)
def _fitted(
    configurations: tuple[Configuration, ...],
    values: tuple[tuple[float, ...], ...],
    seeds: tuple[tuple[int, ...], ...] | None,
    hyperspace: Hyperspace,
    budgets: tuple[float, ...],
    earlier: tuple[Earlier, ...],
) -> ShapeSurrogate:
    return ShapeSurrogate(
        configurations, values, seeds, hyperspace, budgets=budgets, earlier=earlier
    )


class ShapeSurrogate:
    r"""A Gaussian process for the logarithm of FID of complete runs of one model.

    With shape coordinates x, schedule i and seed s,

    .. math:: \log \mathrm{FID}_{is} = m + f(x_i) + h(z_i) + c_i + u_s + g_s(x_i) + \epsilon_{is},

    where f and each seed's own g are smooth (Matern 5/2, a length per coordinate), c belongs to
    the configuration, u to the seed and :math:`\epsilon` to the run. Where hyperparameters z are
    searched, they are further coordinates of x, and h is what they do whatever the schedule, so
    that vanilla tells of the learning rate, too. Runs of one seed share initial weights and
    batches, so what one seed likes, g, must not be taken for what is good, f + h + c. The scales
    are averaged over draws from their priors, weighted by marginal likelihood: that has no local
    optimum to fall into and stays sound with few runs. With hyperparameters there are too many
    scales for that, and the draws are made anew near the best of them, see `adapted_draws`.

    FID is modelled by its logarithm since seeds move it by a share of its size. Values of another
    metric may be negative; if one is not positive, all are modelled as they are.

    Runs of several budgets are modelled together, and never compared: along the logarithm of the
    budget all move together, and each by its mollified share and hyperparameters, see ``_moves``
    in `process`.

    Of more than `MOST` runs those of the best schedules by their means are modelled, up to half
    of that number, and those of schedules spread evenly over the ranks of the rest. What is left
    out is believed to be what it measured, give or take what seeds do.

    Attributes:
        draws: The draws that are averaged over: those that explain the runs.

    Arguments:
        configurations: What was tried, n configurations.
        values: For each its FIDs, one per complete run, all finite; or what else is minimised.
        seeds: For each the seeds of these runs; None: every run has another one.
        hyperspace: The hyperparameters in which they may differ: further coordinates.
        scales: The scales to average over, in units of the standard deviation of all log FIDs;
            by default draws from their priors that are adapted to the runs.
        always: Numbers of schedules whose runs are modelled whatever their values, such as those
            that are still going on.
        budgets: Scales at which something will be asked for, besides those that were tried.
        earlier: What earlier searches have shown.

    Raises:
        ValueError: If there is no schedule, one has no value, a value is not finite, or values
            and seeds differ in number.
    """

    def __init__(
        self,
        configurations: Sequence[Configuration],
        values: Sequence[Sequence[float]],
        seeds: Sequence[Sequence[int]] | None = None,
        hyperspace: Hyperspace = NOTHING,
        scales: Draws | None = None,
        always: Sequence[int] = (),
        budgets: Sequence[float] = (),
        earlier: Sequence[Earlier] = (),
    ) -> None:
        _check(configurations, values, seeds)
        self._hyperspace = hyperspace
        fids = np.array([fid for v in values for fid in v], dtype=float)
        counts = np.array([len(v) for v in values])
        owner = np.repeat(np.arange(len(configurations)), counts)
        flat = range(len(fids)) if seeds is None else [s for each in seeds for s in each]
        self._linear = bool((fids <= 0).any())
        logs = fids if self._linear else np.log(fids)
        self._lengths = sorted({c.scale for c in configurations} | set(budgets))
        several = len(self._lengths) > 1
        self._centre, self._unit = float(logs.mean()), float(logs.std()) or 1.0
        if several:
            self._unit = _spread_within(logs, np.array([c.scale for c in configurations])[owner])
        self._counts, self._means = counts, np.bincount(owner, logs) / counts
        self._modelled = np.flatnonzero(worth_modelling(self._means, counts, MOST, always))
        modelled = [configurations[i] for i in self._modelled.tolist()]
        self._numbers: dict[Configuration, int] = {}
        if several or earlier:
            first, before = self._lengths[0], [c for own in earlier for c in own.configurations]
            alike = dict.fromkeys(c.at(first) for c in (*modelled, *before))
            self._numbers = {c: i for i, c in enumerate(alike)}
        points = self._points(modelled)
        if not (several or earlier):  # equal ones of a pool are tried as two
            points = points._replace(base=np.arange(len(modelled)))
        runs = np.flatnonzero(np.isin(owner, self._modelled))
        y = ((logs - self._centre) / self._unit)[runs]
        number = np.searchsorted(self._modelled, owner[runs])
        seed = np.array(flat)[runs]
        if several:
            seed = _apart(seed, points.budget[number])
        self._own = len(modelled)
        kinds = Kinds(points.x.shape[1] - COORDINATES, several, len(earlier))
        told = Runs(points, number, seed, y, kinds)
        for i, search in enumerate(earlier, start=1):
            told = self._with_earlier(told, search, i)
        self._weigh(told, scales or prior_draws(points.x.shape[1], kinds), adapt=scales is None)

    def _with_earlier(self, runs: Runs, earlier: Earlier, number: int) -> Runs:
        """Add the runs of an earlier search, in units of their own: its values do not compare."""
        first = self._lengths[0]  # what was shorter counts as that: budgets are told from there
        points = self._points([c.at(max(c.scale, first)) for c in earlier.configurations])
        points = points._replace(search=np.full(len(points.x), number))
        counts = [len(own) for own in earlier.values]
        y = np.array([value for own in earlier.values for value in own])
        logs = np.log(y) if (y > 0).all() else y
        owner = np.repeat(np.arange(len(counts)), counts)
        budget = points.budget[owner]
        seeds = _apart(np.array([s for own in earlier.seeds for s in own]), budget)
        return runs._replace(
            points=runs.points.with_more(points),
            owner=np.concatenate([runs.owner, len(runs.points.x) + owner]),
            seed=np.concatenate([runs.seed, seeds + runs.seed.max() + 1]),
            y=np.concatenate([runs.y, (logs - logs.mean()) / _spread_within(logs, budget)]),
        )

    def tried(self) -> Belief:
        """Return the belief about what was tried, in its order."""
        which = self._modelled
        belief = self._of_modelled
        if len(which) == len(self._means):
            return belief
        location, scale = self._means.copy(), self.seed_scale / np.sqrt(self._counts)
        level = np.zeros(len(location))
        location[which], scale[which], level[which] = (
            belief.location,
            belief.scale,
            belief.level_scale,
        )
        return Belief(location, scale, level, self._linear, self.seed_scale)

    def at(self, configurations: Sequence[Configuration], own: bool = True) -> Belief:
        """Return the belief about configurations that were not tried, or not at these budgets.

        Args:
            configurations: The configurations.
            own: Whether what may be peculiar to each that was tried at no budget, c, counts.
        """
        return self._believe(self._points(configurations), own=own)

    def several(self, configurations: Sequence[Configuration], own: bool = True) -> Several:
        """Return the same for configurations that may begin to run one after the other."""
        return Several(self._process, self._points(configurations), own, self._belief)

    @property
    def scales(self) -> Hyperparameters:
        """The draws that are averaged over: those that explain the runs."""
        return self._process.scales

    @property
    def effective(self) -> float:
        """How many draws of the scales count, by their weights (Kish, 1965)."""
        return float(1 / (self._weights**2).sum())

    @property
    def seed_scale(self) -> float:
        """Standard deviation between seeds of the logarithm of FID, as believed."""
        s = self.scales
        return float(
            self._unit * np.sqrt(self._weights @ (s.seed**2 + s.seed_shape**2 + s.run**2))
        )

    @property
    def agreement(self) -> list[float]:
        """How far each earlier search agrees with this one, as believed, each in (0, 1]."""
        found: list[float] = (self._weights @ self.scales.agreement[:, 0, 1:]).tolist()
        return found

    @cached_property
    def _of_modelled(self) -> Belief:
        return self._believe(self._process.runs.points.some(slice(self._own)))

    def _points(self, configurations: Sequence[Configuration]) -> Points:
        own, first = self._hyperspace, self._lengths[0]
        x = [(*coordinates(c.schedule), *own.coordinates(c.settings)) for c in configurations]
        base = [self._numbers.get(c.at(first), NEW) for c in configurations]
        budget = [math.log10(c.scale / first) for c in configurations]
        here = np.zeros(len(x), dtype=np.intp)
        return Points(np.array(x), np.array(base), np.array(budget), here)

    @one_thread()
    def differences(
        self, configurations: Sequence[Configuration], other: Configuration
    ) -> tuple[Array, Array]:
        """Return what is believed of how far the logarithm of FID is from that of another.

        What is common to all, such as what a budget does to all alike, drops out.

        Args:
            configurations: The configurations, n of them, at the budgets that matter.
            other: What they are compared with.

        Returns:
            Mean and standard deviation, with shape (n,); seeds are averaged out.
        """
        points = self._points([*configurations, other])
        location = self._process.solve(points).location
        gaps = location[:, :-1] - location[:, -1:]
        covariance = self._process.covariance(points, points)
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        spread = variance[:, :-1] + variance[:, -1:] - 2 * covariance[:, :-1, -1]
        mean = self._weights @ gaps
        spread = self._weights @ (np.maximum(spread, 0.0) + gaps**2) - mean**2
        return self._unit * mean, self._unit * np.sqrt(np.maximum(spread, 0.0))

    @one_thread()
    def moved(
        self,
        runs: Sequence[Configuration],
        at: Sequence[Configuration],
        seeds: Sequence[float] | None = None,
    ) -> Array:
        """Return how far runs would move what is believed of configurations.

        Args:
            runs: What is run, n configurations at the budgets of the runs.
            at: Configurations at the budgets that matter, m of them.
            seeds: On how many fresh seeds each is run; by default on one.

        Returns:
            Shape (n, m): how far the logarithm of the FID that is believed of each of ``at`` moves
            with a mean result that is one standard deviation higher than expected.
        """
        process, s, weights = self._process, self.scales, self._weights
        points, others = self._points(runs), self._points(at)
        location, variance, of_level = process.predict(points)
        there = process.solve(others).location
        between = (weights[:, None] * location).T @ there
        between -= np.outer(weights @ location, weights @ there)
        shared = np.einsum("k,kmo->mo", weights, process.covariance(points, others)) + between
        noise = (s.seed**2 + s.seed_shape**2 + s.run**2)[:, None]
        noise = noise / (np.ones(len(runs)) if seeds is None else np.asarray(seeds))
        spread = weights @ (variance + of_level + noise + location**2)
        spread -= (weights @ location) ** 2
        moved: Array = self._unit * shared / np.sqrt(np.maximum(spread, 1e-12))[:, None]
        return moved

    @one_thread()
    def _weigh(self, runs: Runs, draws: Draws, adapt: bool) -> None:
        """Weigh the draws by how well they explain the runs, and leave out the hopeless.

        Weights are tempered: the model is not the truth, and the few draws that explain many runs
        best are too sure of it.

        | Robust Bayesian Inference via Coarsening (Miller and Dunson, 2019)
        """
        count, own = len(runs.y), int((runs.points.search[runs.owner] == 0).sum())
        some = runs if count <= _SOME else runs.some(_spread(own, count, _SOME))
        for _ in range(_ADAPTED if adapt else 0):
            evidence = fit(some, draws.scales).evidence + draws.ratio
            draws = adapted_draws(draws, _tempered(evidence), runs.kinds)
        if count > _SOME:
            evidence = fit(some, draws.scales).evidence + draws.ratio
            draws = draws.keep(np.sort(np.argsort(-evidence, kind="stable")[:_KEPT]))
        process = fit(runs, draws.scales)
        weights = _tempered(process.evidence + draws.ratio)
        kept = _without_tail(weights)
        self._process, self.draws = process.keep(kept), draws.keep(kept)
        self._weights = weights[kept] / weights[kept].sum()

    @one_thread()
    def _believe(self, points: Points, own: bool = True) -> Belief:
        """Believe in f + h + c at points."""
        return self._belief(*self._process.predict(points, own))

    def _belief(self, location: Array, variance: Array, of_level: Array) -> Belief:
        """Put together what the draws say."""
        mean = self._weights @ location
        spread = self._weights @ (variance + location**2) - mean**2
        scale = self._unit * np.sqrt(np.maximum(spread, 0.0))
        level = self._unit * np.sqrt(self._weights @ of_level)
        location = self._centre + self._unit * mean
        return Belief(location, scale, level, self._linear, self.seed_scale)


def _apart(seed: Indices, budget: Array) -> Indices:
    """Number seeds anew: at another budget one is another one, most of what it does is chaos."""
    both = np.column_stack([seed, budget])
    return np.unique(both, axis=0, return_inverse=True)[1].astype(np.intp)


def _spread_within(logs: Array, budgets: Array) -> float:
    """Standard deviation of values of equal budget: between budgets they differ anyway."""
    which = np.unique(budgets, return_inverse=True)[1]
    means = np.bincount(which, logs) / np.bincount(which)
    return float((logs - means[which]).std()) or 1.0


def _normalised(evidence: Array) -> Array:
    weights = np.exp(evidence - evidence.max())
    normalised: Array = weights / weights.sum()
    return normalised


def _tempered(evidence: Array) -> Array:
    """Weights of draws, flattened until at least `_EFFECTIVE` of them count."""
    power = 1.0
    while power > 1e-3:
        weights = _normalised(power * evidence)
        if 1 / (weights**2).sum() >= _EFFECTIVE:
            return weights
        power /= 1.5
    return _normalised(0 * evidence)


def _spread(own: int, count: int, some: int) -> npt.NDArray[np.intp]:
    """Return at most so many numbers below ``count``, evenly spread; first those below ``own``."""
    first = min(own, max(some // 2, some - (count - own)))
    rest = np.linspace(own, count - 1, min(count - own, some - first))
    return np.concatenate([np.linspace(0, own - 1, first), rest]).round().astype(np.intp)


def _without_tail(weights: Array) -> npt.NDArray[np.intp]:
    """Numbers of the draws but for the least, which hold less than `_TAIL` together."""
    ranked = np.argsort(-weights, kind="stable")
    count = 1 + int((np.cumsum(weights[ranked]) < 1 - _TAIL).sum())
    return np.sort(ranked[:count])


def _check(
    configurations: Sequence[Configuration],
    values: Sequence[Sequence[float]],
    seeds: Sequence[Sequence[int]] | None,
) -> None:
    counts = [len(v) for v in values]
    if not configurations or len(configurations) != len(values) or 0 in counts:
        raise ValueError("a surrogate needs configurations with at least one FID each")
    if not all(math.isfinite(fid) for v in values for fid in v):
        raise ValueError("FIDs must be finite")
    if seeds is not None and [len(s) for s in seeds] != counts:
        raise ValueError("each FID needs one seed")


def worth_modelling(
    means: Array, counts: npt.NDArray[np.intp], most: int = MOST, always: Sequence[int] = ()
) -> npt.NDArray[np.bool_]:
    """Tell which configurations to model: the best by their means, and a spread over the rest.

    Args:
        means: The mean of each, n of them.
        counts: How many runs each has.
        most: How many runs are modelled at most; up to half of them go to the best.
        always: Numbers of those that are modelled in any case.
    """
    chosen = np.full(len(means), counts.sum() <= most)
    if chosen.all():
        return chosen
    ranked = np.argsort(means, kind="stable")
    best = ranked[np.cumsum(counts[ranked]) <= most // 2]
    rest = ranked[len(best) :]
    # one order in which every beginning is spread evenly: bits of the rank read backwards
    spread = rest[np.argsort([int(f"{i:032b}"[::-1], 2) for i in range(len(rest))])]
    order = np.array([*dict.fromkeys([*always, *best.tolist(), *spread.tolist()])])
    chosen[order[np.cumsum(counts[order]) <= most]] = True
    return chosen
