"""What decides on the runs of a search: its arms, samplers and sources, from its config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from mollitune.schedules import build
from mollitune.search.config import SearchConfig
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.earlier import Earlier
from mollitune.search.policy.hyperspace import Hyperspace
from mollitune.search.policy.ladder_sampler import LadderSampler
from mollitune.search.policy.proposer import Proposer
from mollitune.search.policy.samplers import RandomSampler, Sampler, ShapeSampler
from mollitune.search.policy.source import SpaceSource, first_tried
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.study import BothSides, StudySampler
from mollitune.search.policy.surrogate import expected_fid

Prior = Mapping[str, tuple[Earlier, ...]]
"""What earlier searches have shown, by the model of the new one."""


def proposer(config: SearchConfig, side: int, prior: Prior = MappingProxyType({})) -> Proposer:
    """Return what decides on the runs of a search.

    Args:
        config: The search.
        side: Side of the images in pixels.
        prior: What earlier searches have shown.
    """
    stopping, ladder = config.stopping, config.ladder
    spaces = {entry.name: entry.hyperspace for entry in config.model}
    return Proposer(
        arms=list(arms(config, side)),
        samplers={
            name: sampler(config, side, config.seed + i, space, prior.get(name, ()))
            for i, (name, space) in enumerate(spaces.items())
        },
        seed=config.seed,
        eta=stopping.reduction_factor if stopping.races and ladder is None else None,
        seeds=stopping.max_seeds,
        expect=lambda model, tried, fids, seeds: expected_fid(
            tried, fids, seeds, spaces[model], prior.get(model, ())
        ),
        share=shares(config),
        bound=None if config.bounded is None else config.bounded.bound,
        ladder=ladder is not None,
    )


def shares(config: SearchConfig) -> dict[str, float]:
    """Return which share of the new configurations of each model is vanilla."""
    searched = [entry.name for entry in config.model if entry.hyperspace]
    return {name: config.vanilla_share if _spaces(config) else 1.0 for name in searched}


def sampler(
    config: SearchConfig,
    side: int,
    seed: int,
    hyperspace: Hyperspace,
    earlier: tuple[Earlier, ...] = (),
) -> Sampler:
    """Return the sampler that a config names, for one model."""
    schedules, spaces = source(config, side, hyperspace), _spaces(config)
    if config.ladder is not None:
        return LadderSampler(schedules, seed, config.ladder, hyperspace, earlier)
    if config.sampler == "shape":
        return ShapeSampler(schedules, seed, hyperspace, earlier=earlier)
    if config.sampler == "random" or not (spaces or hyperspace):
        return RandomSampler(schedules, seed)
    how = (side, seed, config.workers, schedules, hyperspace)
    mollified = StudySampler(config.sampler, spaces, *how)
    if not hyperspace:
        return mollified
    return BothSides(mollified, StudySampler(config.sampler, _VANILLA, *how))


def source(config: SearchConfig, side: int, hyperspace: Hyperspace) -> SpaceSource:
    """Return where configurations of a model come from: the families, or vanilla alone."""
    return SpaceSource(_spaces(config) or _VANILLA, side, hyperspace)


def arms(config: SearchConfig, side: int) -> Iterable[tuple[str, Configuration]]:
    """Yield what each model tries first, see `first_tried`; hyperparameters at their defaults.

    With several budgets it is tried at the shortest.
    """
    shortest = 1.0 if config.ladder is None else config.ladder.scales[0]
    defaults = [space.default(side) for space in _spaces(config).values()]
    for schedule in first_tried([build("vanilla"), *defaults])[: config.arms_of_each]:
        for entry in config.model:
            yield entry.name, Configuration(schedule, entry.hyperspace.first, shortest)


_VANILLA = {"vanilla": FamilySpace("vanilla")}


def _spaces(config: SearchConfig) -> dict[str, FamilySpace]:
    return {space.family: space for space in config.families if space.family != "vanilla"}
