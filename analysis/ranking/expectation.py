"""What FID to expect of each configuration on a fresh seed, and how sure that is."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from mollitune.search.policy import (
    MODELLED,
    NOTHING,
    Belief,
    Configuration,
    Earlier,
    Hyperspace,
    fitted,
)

LEVEL = 0.9
"""Probability of all intervals that are shown."""


class Expectation(NamedTuple):
    """What is expected of a configuration.

    Attributes:
        fid: The expected FID.
        low: Lower end of its interval of probability `LEVEL`; NaN where no seed was repeated.
        high: Upper end.
        run_low: Lower end of the interval in which one run on a fresh seed lies with that
            probability; NaN where no seed was repeated.
        run_high: Upper end.
    """

    fid: float
    low: float
    high: float
    run_low: float
    run_high: float

    @classmethod
    def all_of(cls, belief: Belief) -> "list[Expectation]":
        """Return what is believed of each."""
        columns = belief.fid, *belief.interval(LEVEL), *belief.interval(LEVEL, run=True)
        return [cls(*row) for row in np.column_stack(columns).tolist()]


def expectations(
    configurations: Sequence[Configuration | None],
    values: Sequence[Sequence[float]],
    seeds: Sequence[Sequence[int]],
    space: Hyperspace = NOTHING,
    earlier: tuple[Earlier, ...] = (),
) -> list[Expectation]:
    """Return the FID to expect of each configuration of one model on a fresh seed.

    From `MODELLED` configurations on it is the belief of a `ShapeSurrogate`. With fewer, or with a
    configuration that cannot be built here, it is the mean over the runs, with an interval from
    the spread between seeds that all configurations share, relative to their means as far as all
    values are positive.

    Args:
        configurations: The configurations, n of them; None for one that cannot be built.
        values: For each its FIDs, one per complete run, measured alike.
        seeds: For each the seeds of these runs.
        space: The hyperparameters in which they may differ.
        earlier: What earlier searches have shown; with any there are never too few.
    """
    known = [configuration for configuration in configurations if configuration is not None]
    if len(known) < max(1 if earlier else MODELLED, len(configurations)):
        return _means(values)
    return Expectation.all_of(fitted(known, values, seeds, space, earlier=earlier).tried())


def expectations_at(
    target: float,
    configurations: Sequence[Configuration | None],
    values: Sequence[Sequence[float]],
    seeds: Sequence[Sequence[int]],
    space: Hyperspace = NOTHING,
    earlier: tuple[Earlier, ...] = (),
) -> dict[int, Expectation]:
    """Return the FID to expect at a budget, from runs of one model at several.

    Args:
        target: The budget, as `Configuration.scale` has it.
        configurations: What was run, n configurations; None for one that cannot be built.
        values: As for `expectations`.
        seeds: As for `expectations`.
        space: As for `expectations`.
        earlier: As for `expectations`.

    Returns:
        For each configuration, whatever its budget, where it stands with the longest one of it
        that was run, and what is expected.
    """
    built = [(own, i) for i, own in enumerate(configurations) if own is not None]
    if not built:
        return {}
    built.sort(key=lambda each: (each[0].scale, each[1]))
    longest = {own.at(target): i for own, i in built}
    surrogate = fitted(
        [own for own, _ in built],
        [values[i] for _, i in built],
        [seeds[i] for _, i in built],
        *(space, (target,), earlier),
    )
    found = Expectation.all_of(surrogate.at(list(longest)))
    return dict(zip(longest.values(), found, strict=True))


def _means(values: Sequence[Sequence[float]]) -> list[Expectation]:
    means = [float(np.mean(own)) for own in values]
    degrees = sum(len(own) - 1 for own in values)
    if not degrees:
        return [Expectation(mean, *[math.nan] * 4) for mean in means]
    linear = any(value <= 0 for own in values for value in own)
    scaled = [np.asarray(own) if linear else np.log(own) for own in values]
    squares = sum(float(np.var(own)) * len(own) for own in scaled)
    seed = math.sqrt(squares / degrees)
    t = float(stdtrit(degrees, (1 + LEVEL) / 2)) / float(ndtri((1 + LEVEL) / 2))
    counts = np.array([len(own) for own in values])
    location = np.array(means) if linear else np.log(means)
    of_mean = t * seed / np.sqrt(counts)
    found = Expectation.all_of(Belief(location, of_mean, 0 * of_mean, linear, t * seed))
    return [own._replace(fid=mean) for own, mean in zip(found, means, strict=True)]
