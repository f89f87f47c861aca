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
from .hyperspace import NOTHING, Hyperspace
from .process import NEW, Points, Runs, fit, one_thread
from .scales import Array, Draws, Hyperparameters, adapted_draws, prior_draws
from .shape import COORDINATES, coordinates

MODELLED = 8
"""Schedules below which nothing is modelled: the mean over seeds is all that is believed."""
MOST = 300
"""Runs that are modelled at most: time grows with their third power, memory with the second."""
# So many runs weigh the draws first, to drop those of less than a share of the weight: what is
# hopeless on some runs need not be solved for on all.
_WEIGHED = ((60, 1e-4), (150, 0.02))
_ADAPTED = 2  # how often draws are made anew, nearer to what explains the runs
_EFFECTIVE = 16
_TAIL = 1e-3  # share that the least draws may hold together, to be dropped in the end


def expected_fid(
    configurations: Sequence[Configuration],
    values: Sequence[Sequence[float]],
    seeds: Sequence[Sequence[int]] | None = None,
    hyperspace: Hyperspace = NOTHING,
) -> list[float]:
    """Return the FID to expect of each configuration on a fresh seed; the lowest is to be chosen.

    Args:
        configurations: Configurations with complete runs of one model, n of them.
        values: For each its FIDs, one per run, measured alike; or what else is minimised.
        seeds: For each the seeds of these runs, see `ShapeSurrogate`.
        hyperspace: The hyperparameters in which they may differ.

    Returns:
        The belief of a `ShapeSurrogate` about each configuration, or the mean over its runs while
        there are fewer than `MODELLED`.

    Raises:
        ValueError: As for `ShapeSurrogate`.
    """
    _check(configurations, values, seeds)
    if len(configurations) < MODELLED:
        return [float(np.mean(v)) for v in values]
    surrogate = fitted(configurations, values, seeds, hyperspace)
    return [float(fid) for fid in surrogate.tried().fid]


def fitted(
    configurations: Sequence[Configuration],
    values: Sequence[Sequence[float]],
    seeds: Sequence[Sequence[int]] | None = None,
    hyperspace: Hyperspace = NOTHING,
    budgets: tuple[float, ...] = (),
) -> ShapeSurrogate:
    """Return a `ShapeSurrogate`: the last one, if it is asked for once more.

    A search that proposes a run asks twice, for the race and for the sampler.
    """
    alike = None if seeds is None else tuple(map(tuple, seeds))
    return _fitted(tuple(configurations), tuple(map(tuple, values)), alike, hyperspace, budgets)


@lru_cache(maxsize=1)
def _fitted(
    configurations: tuple[Configuration, ...],
    values: tuple[tuple[float, ...], ...],
    seeds: tuple[tuple[int, ...], ...] | None,
    hyperspace: Hyperspace,
    budgets: tuple[float, ...],
) -> ShapeSurrogate:
    return ShapeSurrogate(configurations, values, seeds, hyperspace, budgets=budgets)


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
            by default draws from their priors, with hyperparameters adapted to the runs.
        always: Numbers of schedules whose runs are modelled whatever their values, such as those
            that are still going on.
        budgets: Scales at which something will be asked for, besides those that were tried.

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
            self._unit = _spread_within(logs, [configurations[i].scale for i in owner.tolist()])
        self._counts, self._means = counts, np.bincount(owner, logs) / counts
        self._modelled = np.flatnonzero(_modelled(self._means, counts, always))
        modelled = [configurations[i] for i in self._modelled.tolist()]
        self._numbers: dict[Configuration, int] = {}
        if several:
            first = self._lengths[0]
            self._numbers = {
                c: i for i, c in enumerate(dict.fromkeys(c.at(first) for c in modelled))
            }
        points = self._points(modelled)
        if not several:  # equal ones of a pool are tried as two
            points = points._replace(base=np.arange(len(modelled)))
        runs = np.flatnonzero(np.isin(owner, self._modelled))
        y = ((logs - self._centre) / self._unit)[runs]
        number = np.searchsorted(self._modelled, owner[runs])
        seed = np.array(flat)[runs]
        if several:  # a seed at another budget is another one: most of what it does is chaos
            both = np.column_stack([seed, points.budget[number]])
            seed = np.unique(both, axis=0, return_inverse=True)[1]
        own = points.x.shape[1] - COORDINATES
        told = Runs(points, number, seed, y, own, several)
        adapt = (own > 0 or several) and scales is None
        self._weigh(told, scales or prior_draws(points.x.shape[1], own, several), adapt)

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
        return Belief(location, scale, level, self._linear)

    def at(self, configurations: Sequence[Configuration], own: bool = True) -> Belief:
        """Return the belief about configurations that were not tried, or not at these budgets.

        Args:
            configurations: The configurations.
            own: Whether what may be peculiar to each that was tried at no budget, c, counts.
        """
        return self._believe(self._points(configurations), own=own)

    @property
    def scales(self) -> Hyperparameters:
        """The draws that are averaged over: those that explain the runs."""
        return self._process.scales

    @property
    def seed_scale(self) -> float:
        """Standard deviation between seeds of the logarithm of FID, as believed."""
        s = self.scales
        return float(
            self._unit * np.sqrt(self._weights @ (s.seed**2 + s.seed_shape**2 + s.run**2))
        )

    @cached_property
    def _of_modelled(self) -> Belief:
        return self._believe(self._process.runs.points)

    def _points(self, configurations: Sequence[Configuration]) -> Points:
        own, first = self._hyperspace, self._lengths[0]
        x = [(*coordinates(c.schedule), *own.coordinates(c.settings)) for c in configurations]
        base = [self._numbers.get(c.at(first), NEW) for c in configurations]
        budget = [math.log10(c.scale / first) for c in configurations]
        return Points(np.array(x), np.array(base), np.array(budget))

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
        """Weigh the draws by how well they explain the runs, and drop the hopeless."""
        count = len(runs.y)
        for _ in range(_ADAPTED if adapt else 0):
            some = runs.some(_spread(count, min(count, _WEIGHED[0][0])))
            evidence = fit(some, draws.scales).evidence + draws.ratio
            draws = adapted_draws(draws, _tempered(evidence), runs.settings, runs.budgets)
        for some_runs, share in _WEIGHED:
            if count > some_runs:
                evidence = fit(runs.some(_spread(count, some_runs)), draws.scales).evidence
                weights = _normalised(evidence + draws.ratio)
                draws = draws.keep(np.flatnonzero(weights >= min(share, weights.max())))
        process = fit(runs, draws.scales)
        kept = _without_tail(_normalised(process.evidence + draws.ratio))
        self._process, self.draws = process.keep(kept), draws.keep(kept)
        self._weights = _normalised(self._process.evidence + self.draws.ratio)

    @one_thread()
    def _believe(self, points: Points, own: bool = True) -> Belief:
        """Believe in f + h + c at points."""
        location, variance, of_level = self._process.predict(points, own)
        mean = self._weights @ location
        spread = self._weights @ (variance + location**2) - mean**2
        scale = self._unit * np.sqrt(np.maximum(spread, 0.0))
        level = self._unit * np.sqrt(self._weights @ of_level)
        return Belief(self._centre + self._unit * mean, scale, level, self._linear)


def _spread_within(logs: Array, scales: Sequence[float]) -> float:
    """Standard deviation of values of equal budget: between budgets they differ anyway."""
    which = np.unique(np.array(scales), return_inverse=True)[1]
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


def _spread(count: int, some: int) -> npt.NDArray[np.intp]:
    """Return so many numbers below ``count``, evenly spread."""
    return np.linspace(0, count - 1, some).round().astype(np.intp)


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


def _modelled(
    means: Array, counts: npt.NDArray[np.intp], always: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Tell which schedules to model, see `ShapeSurrogate`."""
    chosen = np.full(len(means), counts.sum() <= MOST)
    if chosen.all():
        return chosen
    ranked = np.argsort(means, kind="stable")
    best = ranked[np.cumsum(counts[ranked]) <= MOST // 2]
    rest = ranked[len(best) :]
    # one order in which every beginning is spread evenly: bits of the rank read backwards
    spread = rest[np.argsort([int(f"{i:032b}"[::-1], 2) for i in range(len(rest))])]
    order = np.array([*dict.fromkeys([*always, *best.tolist(), *spread.tolist()])])
    chosen[order[np.cumsum(counts[order]) <= MOST]] = True
    return chosen
