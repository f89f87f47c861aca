"""Every policy on one recording, side by side."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from mollitune.schedules import families
from mollitune.search.policy.earlier import Earlier
from mollitune.search.policy.hyperspace import Hyperspace
from mollitune.search.policy.rules import rule as find_rule
from mollitune.search.policy.rules import spelled
from mollitune.search.policy.samplers import Build, RandomSampler, Sampler, ShapeSampler
from mollitune.search.policy.source import Source, arms_within
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.study import BothSides, StudySampler

from .replay import Policy, Recording, ReplayOutcome, replay


@dataclass(frozen=True)
class Row:
    """How one policy did, the mean over random orders.

    Arguments:
        name: Name of the policy.
        regret: FID of what it recommends above the best schedule of the pool.
        error: Standard error of that over the orders; other data would add to it.
        cost: Training steps, in complete runs.
        configurations: Schedules tried.
        runs: Runs started.
        stopped: Runs stopped early.
    """

    name: str
    regret: float
    error: float
    cost: float
    configurations: float
    runs: float
    stopped: float

    @property
    def numbers(self) -> tuple[float, ...]:
        """All but the name."""
        return (
            *(self.regret, self.error, self.cost),
            *(self.configurations, self.runs, self.stopped),
        )


def compare(
    recording: Recording,
    budget: float,
    orders: int,
    side: int,
    rules: Sequence[str] = (),
    earlier: tuple[Earlier, ...] = (),
) -> list[Row]:
    """Replay every policy of the catalogue, on all CPUs; the lowest regret comes first.

    Args:
        recording: The curves.
        budget: Training steps of one search, in complete runs.
        orders: Random orders of the pool, >= 2.
        side: Side of the images in pixels.
        rules: Further stopping rules, each with the surrogate's schedules and a late first rung.
        earlier: What earlier searches have shown, for one more policy: the default with them.

    Raises:
        ValueError: If there is no such rule.
    """
    arms = arms_within(len(recording.arms), budget)
    known = policies(side, arms, recording.seeds, rules)
    if earlier:
        known.append(with_prior(earlier, recording.seeds, arms))
    spawn = get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
        plays = [partial(replay, recording, policy, budget) for policy in known]
        found = [pool.map(play, range(orders), chunksize=10) for play in plays]
        outcomes = [list(each) for each in found]
    rows = [_row(recording, p.name, o) for p, o in zip(known, outcomes, strict=True)]
    return sorted(rows, key=lambda row: row.regret)


def _row(recording: Recording, name: str, outcomes: list[ReplayOutcome]) -> Row:
    values = recording.values
    regrets = [values[o.chosen] - min(values) for o in outcomes]
    return Row(
        name=name,
        regret=statistics.mean(regrets),
        error=statistics.stdev(regrets) / len(regrets) ** 0.5,
        cost=statistics.mean(o.cost for o in outcomes),
        configurations=statistics.mean(o.configurations for o in outcomes),
        runs=statistics.mean(o.runs for o in outcomes),
        stopped=statistics.mean(o.stopped for o in outcomes),
    )


ETA = 3.0
LATE, HALF, EARLY = 2 / 3, 1 / 2, 1 / 6
"""Where the first rungs of the rules lie."""


def policies(side: int, arms: int, seeds: int, rules: Sequence[str] = ()) -> list[Policy]:
    """Return policies to compare, the default first.

    Args:
        side: Side of the images in pixels, for TPE's and GP's search space.
        arms: How many of vanilla and the families' defaults every search tries first.
        seeds: Most runs of one configuration in a race.
        rules: Further stopping rules, for one run each.

    Raises:
        ValueError: If there is no such rule.
    """
    shape, chance = samplers(side)["shape"], samplers(side)["random"]
    cut, probe, asha = _rung("late_cut", LATE), _rung("probe", HALF), _rung("asha", EARLY)
    return [
        Policy("race, shape", shape, seeds=seeds, arms=arms),
        Policy("race + late_cut, shape", shape, *cut, seeds=seeds, arms=arms),
        Policy("race + probe, shape", shape, *probe, seeds=seeds, arms=arms),
        Policy("race, tpe", samplers(side)["tpe"], seeds=seeds, arms=arms),
        Policy("race, random", chance, seeds=seeds, arms=arms),
        Policy("none, shape", shape, arms=arms),
        Policy("late_cut, shape", shape, *cut, arms=arms),
        Policy("asha, shape", shape, *asha, arms=arms),
        *(Policy(f"{name}, shape", shape, *_rung(name, LATE), arms=arms) for name in rules),
        Policy("none, random", chance, arms=arms),
    ]


def with_prior(earlier: tuple[Earlier, ...], seeds: int, arms: int) -> Policy:
    """Return the default policy as it is with earlier searches.

    Args:
        earlier: What they have shown.
        seeds: As for `policies`.
        arms: As for `policies`.
    """
    told = partial(ShapeSampler, earlier=earlier)
    return Policy("race, shape, prior", told, seeds=seeds, arms=arms, earlier=earlier)


def _rung(name: str, grace: float) -> tuple[str, tuple[float, ...], float]:
    """A rule with its rungs, as `Policy` takes them."""
    return spelled(name), find_rule(name).marks(grace, ETA), ETA


def samplers(side: int) -> Mapping[str, Build]:
    """Return how each sampler is built."""
    return {
        "shape": ShapeSampler,
        "random": RandomSampler,
        "tpe": partial(_study, "tpe", side),
        "gp": partial(_study, "gp", side),
    }


def _study(name: str, side: int, source: Source, seed: int, space: Hyperspace) -> Sampler:
    spaces = {name: FamilySpace(name) for name in families() if name != "vanilla"}
    mollified = StudySampler(name, spaces, side, seed, 1, source, space)
    if not space:
        return mollified
    vanilla = {"vanilla": FamilySpace("vanilla")}
    return BothSides(mollified, StudySampler(name, vanilla, side, seed, 1, source, space))
