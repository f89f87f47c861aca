"""The policies that a replay compares."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mollitune.schedules import families
from mollitune.search.space import FamilySpace

from .replay import Policy
from .samplers import Build, RandomSampler, Sampler, ShapeSampler
from .source import Source
from .study import StudySampler

CUT = 2 / 3
PROBED = 1 / 2
EARLY = (1 / 6, 1 / 2)


def policies(side: int, arms: int, seeds: int) -> list[Policy]:
    """Return policies to compare, the default first.

    Args:
        side: Side of the images in pixels, for TPE's and GP's search space.
        arms: How many of vanilla and the families' defaults every search tries first.
        seeds: Most runs of one configuration in a race.
    """
    shape, chance = samplers(side)["shape"], samplers(side)["random"]
    return [
        Policy("race, shape", shape, seeds=seeds, arms=arms),
        Policy("race + late_cut, shape", shape, "late_cut", (CUT,), seeds=seeds, arms=arms),
        Policy("race + probe, shape", shape, "probe", (PROBED,), seeds=seeds, arms=arms),
        Policy("race, tpe", samplers(side)["tpe"], seeds=seeds, arms=arms),
        Policy("race, random", chance, seeds=seeds, arms=arms),
        Policy("none, shape", shape, arms=arms),
        Policy("late_cut, shape", shape, "late_cut", (CUT,), arms=arms),
        Policy("asha, shape", shape, "asha", EARLY, arms=arms),
        Policy("none, random", chance, arms=arms),
    ]


def samplers(side: int) -> Mapping[str, Build]:
    """Return how each sampler is built."""
    return {
        "shape": ShapeSampler,
        "random": RandomSampler,
        "tpe": partial(_study, "tpe", side),
        "gp": partial(_study, "gp", side),
    }


def _study(name: str, side: int, source: Source, seed: int) -> Sampler:
    spaces = {name: FamilySpace(name) for name in families() if name != "vanilla"}
    return StudySampler(name, spaces, side, seed, 1, source)
