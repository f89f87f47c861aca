"""What decides on the runs of a search: its arms, samplers and sources, from its config."""

from __future__ import annotations

from collections.abc import Iterable

from mollitune.schedules import Schedule, build
from mollitune.search.config import SearchConfig
from mollitune.search.policy.proposer import Proposer
from mollitune.search.policy.samplers import RandomSampler, Sampler, ShapeSampler
from mollitune.search.policy.source import SpaceSource, first_tried
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.study import StudySampler


def proposer(config: SearchConfig, side: int) -> Proposer:
    """Return what decides on the runs of a search.

    Args:
        config: The search.
        side: Side of the images in pixels.
    """
    stopping = config.stopping
    return Proposer(
        arms=list(arms(config, side)),
        samplers={
            entry.name: sampler(config, side, config.seed + i)
            for i, entry in enumerate(config.model)
        },
        seed=config.seed,
        eta=stopping.reduction_factor if stopping.races else None,
        seeds=stopping.max_seeds,
    )


def sampler(config: SearchConfig, side: int, seed: int) -> Sampler:
    """Return the sampler that a config names, for one model."""
    schedules, spaces = source(config, side), _spaces(config)
    if config.sampler == "shape":
        return ShapeSampler(schedules, seed)
    if config.sampler == "random" or not spaces:
        return RandomSampler(schedules, seed)
    return StudySampler(config.sampler, spaces, side, seed, config.workers, schedules)


def source(config: SearchConfig, side: int) -> SpaceSource:
    """Return where the schedules of a search come from: its families, or vanilla alone."""
    return SpaceSource(_spaces(config) or {"vanilla": FamilySpace("vanilla")}, side)


def arms(config: SearchConfig, side: int) -> Iterable[tuple[str, Schedule]]:
    """Yield what each model tries first, see `first_tried`."""
    defaults = [space.default(side) for space in _spaces(config).values()]
    for schedule in first_tried([build("vanilla"), *defaults])[: config.arms_of_each]:
        for entry in config.model:
            yield entry.name, schedule


def _spaces(config: SearchConfig) -> dict[str, FamilySpace]:
    return {space.family: space for space in config.families if space.family != "vanilla"}
