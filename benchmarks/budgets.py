"""Searching for the best schedule at a budget longer than what is trained, in a known world.

In these worlds the best share of mollified training grows with the budget, so the ranking at a
short one is not that of a long one; in others it does not. Every way spends equally many training
steps; its regret is the noise-free FID at the target of what it recommends above the lowest there
is, in per cent of it.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from mollitune.schedules import Sigmoid, Vanilla, build
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.ladder import Ladder
from mollitune.search.policy.ladder_sampler import LadderSampler
from mollitune.search.policy.proposer import Proposer
from mollitune.search.policy.samplers import Sampler, ShapeSampler
from mollitune.search.policy.source import SpaceSource
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.surrogate import ShapeSurrogate, expected_fid

SIDE = 8
BUDGETS = (1.0, 2.0, 4.0)
FAMILIES = {name: FamilySpace(name) for name in ("sigmoid", "cosine", "linear", "polynomial")}
ARMS = (Vanilla(), Sigmoid(until=0.6), build("linear", until=0.6))


@dataclass(frozen=True)
class World:
    """Where the FIDs come from; all numbers are drawn with the seed.

    Arguments:
        seed: Seed of the world.
        target: Production's budget, as a multiple of the shortest.
        moves: Whether the best share of mollified training grows with the budget.
        noise: Standard deviation between seeds of the logarithm of FID.
    """

    seed: int
    target: float = 8.0
    moves: bool = True
    noise: float = 0.06

    def log_fid(self, configuration: Configuration) -> float:
        """Return the noise-free logarithm of FID at the configuration's budget."""
        rng = random.Random(f"world {self.seed}")
        longer = math.log10(configuration.scale)
        whole = math.log10(self.target)
        fall, flat = rng.uniform(0.8, 1.5), rng.uniform(0.1, 0.4)
        weight, area_weight = rng.uniform(0.15, 0.4), rng.uniform(0.1, 0.3)
        most, best_area = rng.uniform(0.1, 0.9), rng.uniform(0.3, 0.6)
        middle, width = whole * rng.uniform(0.2, 0.7), whole * rng.uniform(0.1, 0.25)
        if self.moves:
            best = most / (1 + math.exp(-(longer - middle) / width))
        else:
            best = most if self.seed % 2 else 0.0
        schedule = configuration.schedule
        far = ((schedule.until - best) / 0.5) ** 2
        if not configuration.is_vanilla:
            area = statistics.mean(schedule.level(p / 20 * schedule.until) for p in range(20))
            far += area_weight * best * ((area - best_area) / 0.3) ** 2
        # what no coordinate tells, partly another at each budget
        own = random.Random(f"own {self.seed} {schedule}").gauss(0, 0.02)
        own += random.Random(f"own {self.seed} {configuration}").gauss(0, 0.02)
        return 3.9 - fall * longer + flat * longer**2 + weight * far + own

    def run(self, configuration: Configuration, seed: int, draw: random.Random) -> float:
        """Return the FID of one run; a seed moves all configurations a little alike."""
        shared = random.Random(f"seed {self.seed} {configuration.scale} {seed}")
        noise = shared.gauss(0, self.noise / 2) + draw.gauss(0, self.noise)
        return math.exp(self.log_fid(configuration) + noise)

    def best(self) -> float:
        """Return the lowest logarithm of FID at the target, from many draws and a descent."""
        rng = random.Random(f"best {self.seed}")
        source = SpaceSource(FAMILIES, SIDE)
        pool = [Configuration(Vanilla()), *(c for _ in range(8) for c in source.candidates(rng))]
        for _ in range(8):
            pool = sorted(pool, key=self.at_target)[:24]
            pool += source.near([c for c in pool if not c.is_vanilla] or pool, 240, rng)
        return min(self.at_target(c) for c in pool)

    def at_target(self, configuration: Configuration) -> float:
        """Return the noise-free logarithm of FID at production's budget."""
        return self.log_fid(configuration.at(self.target))


Runs = dict[Configuration, tuple[list[float], list[int]]]


def run_all(
    world: World, work: float, seed: int, sampler: Sampler, scale: float, eta: float | None
) -> Runs:
    """Run a search of a world until its training steps are spent; return what it has seen."""
    draw = random.Random(f"runs {world.seed} {seed}")
    proposer = Proposer(
        arms=[("m", Configuration(arm)) for arm in ARMS],
        samplers={"m": sampler},
        seed=0,
        eta=eta,
        seeds=5,
    )
    known: Runs = {}
    while work > 1e-9:
        proposal = proposer.next()
        proposer.started(proposal)
        own = proposal.configuration.at(scale * proposal.configuration.scale)
        fid = world.run(own, proposal.seed, draw)
        fids, seeds = known.setdefault(own, ([], []))
        fids.append(fid)
        seeds.append(proposal.seed)
        proposer.ended(proposal.run.trial, "completed", fid, 1)
        work -= own.scale
    return known


def with_ladder(target_too: bool, world: World, work: float, seed: int) -> Configuration:
    """Search at several budgets for the best at the target."""
    budgets = (*BUDGETS, world.target) if target_too else BUDGETS
    ladder = Ladder(budgets, world.target)
    sampler = LadderSampler(SpaceSource(FAMILIES, SIDE), seed, ladder)
    known = run_all(world, work, seed, sampler, 1.0, None)
    values, seeds = zip(*known.values(), strict=True)
    surrogate = ShapeSurrogate(list(known), values, seeds, budgets=(world.target,))
    bases = list(dict.fromkeys(c.at(world.target) for c in known))
    return bases[int(surrogate.at(bases).location.argmin())]


def at_one(target: bool, world: World, work: float, seed: int) -> Configuration:
    """Search at the shortest budget or at the target, and recommend what is best there."""
    scale = world.target if target else 1.0
    known = run_all(world, work, seed, ShapeSampler(SpaceSource(FAMILIES, SIDE), seed), scale, 3.0)
    values, seeds = zip(*known.values(), strict=True)
    worth = expected_fid(list(known), values, seeds)
    return min(zip(worth, known, strict=True), key=lambda pair: pair[0])[1]


def halving(world: World, work: float, seed: int) -> Configuration:
    """Successive halving over budgets: the better half of what was trained goes on to twice it."""
    draw, rng = random.Random(f"runs {world.seed} {seed}"), random.Random(f"halving {seed}")
    scales = [2.0**i for i in range(round(math.log2(world.target)) + 1)]
    first = [Configuration(arm) for arm in ARMS]
    count = round(work / len(scales))
    left = [*first, *SpaceSource(FAMILIES, SIDE).candidates(rng)][:count]
    for scale in scales:
        fids = {c: world.run(c.at(scale), 0, draw) for c in left}
        left = sorted(left, key=fids.__getitem__)[: max(1, len(left) // 2)]
    return left[0]


WAYS: dict[str, Callable[[World, float, int], Configuration]] = {
    "ladder below the target": partial(with_ladder, False),
    "ladder up to the target": partial(with_ladder, True),
    "at the shortest": partial(at_one, False),
    "at the target": partial(at_one, True),
    "successive halving": halving,
}


def regrets(
    moves: bool, noise: float, target: float, work: float, seed: int
) -> dict[str, tuple[float, float]]:
    """Return regret in per cent and seconds of every way in one world."""
    world, found = World(seed, target, moves, noise), {}
    best = world.best()
    for name, way in WAYS.items():
        start = time.process_time()
        chosen = way(world, work, seed)
        regret = 100 * (math.exp(world.at_target(chosen) - best) - 1)
        found[name] = (regret, time.process_time() - start)
    return found


def summary(values: Sequence[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):.2f} ± {error:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="seed of the first world")
    parser.add_argument("--work", type=float, nargs="+", default=[96], help="in shortest runs")
    parser.add_argument("--targets", type=float, nargs="+", default=[8, 32])
    parser.add_argument("--noise", type=float, default=0.06)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    settings = itertools.product((True, False), options.targets, options.work)
    print("| best moves | target | work | way | regret, % | median | s |")
    print("|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        for moves, target, work in settings:
            one = partial(regrets, moves, options.noise, target, work)
            worlds = range(options.first, options.first + options.worlds)
            found = list(pool.map(one, worlds))
            for name in WAYS:
                own = [each[name][0] for each in found]
                seconds = statistics.mean(each[name][1] for each in found)
                where = f"| {moves} | {target:g} | {work:g} | {name} | {summary(own)} |"
                print(f"{where} {statistics.median(own):.2f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
