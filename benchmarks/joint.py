"""Hyperparameters and schedule searched at once, against every other order, in a known world.

The world is a formula for the FID of a configuration, in which the best share of mollified
training grows with the learning rate. So its optimum is known, and whoever tunes one thing after
the other misses it. Every way spends equally many complete runs; its regret is the noise-free FID
of what it recommends above the lowest there is, in per cent of it. --verdicts says how often a
confirmation of both sides claims that mollification beats tuned vanilla, also where it does
nothing.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from unittest import mock

from mollitune.analysis import Difference, judge
from mollitune.schedules import Choice, Float, Sigmoid, Vanilla, build
from mollitune.search.policy.configuration import Configuration, Settings, settings_of
from mollitune.search.policy.hyperspace import NOTHING, Hyperspace
from mollitune.search.policy.proposer import Proposer
from mollitune.search.policy.samplers import RandomSampler, Sampler, ShapeSampler
from mollitune.search.policy.source import SpaceSource
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.study import BothSides, StudySampler
from mollitune.search.policy.surrogate import expected_fid

SIDE, ETA, SEEDS, SHARE, TOP = 8, 3.0, 5, 1 / 3, 3
FAMILIES = {name: FamilySpace(name) for name in ("sigmoid", "cosine", "linear", "polynomial")}
PLAIN = {"vanilla": FamilySpace("vanilla")}
SPACE = Hyperspace(
    {
        "batch_size": Choice((32, 64, 128)),
        "lr": Float(1e-4, 1e-2, log=True),
        "lr_decay": Choice(("constant", "cosine")),
    },
    settings_of({"batch_size": 64, "lr": 1e-3, "lr_decay": "constant"}),
)


@dataclass(frozen=True)
class World:
    """Where the FIDs come from; all numbers are drawn with the seed.

    Arguments:
        seed: Seed of the world.
        effect: How much a schedule can change the logarithm of FID; 0: nothing.
        noise: Standard deviation between seeds of the logarithm of FID.
        apart: How much lower the best learning rate is the longer the data are mollified, as a
            share of its range; 0: it is the same on both sides, and tuning one side tunes both.
    """

    seed: int
    effect: float = 0.3
    noise: float = 0.06
    apart: float = 0.0

    def log_fid(self, configuration: Configuration) -> float:
        """Return the noise-free logarithm of FID."""
        rng = random.Random(f"world {self.seed}")
        best_lr, slope = rng.uniform(0.45, 0.7), rng.uniform(0.5, 0.8)
        best_area, decay = rng.uniform(0.3, 0.6), rng.uniform(0.02, 0.1)
        settings = dict(configuration.settings)
        lr, batch, cosine = (c for c in SPACE.coordinates(settings_of(settings)))
        # larger batches want larger rates; decay forgives them
        schedule = configuration.schedule
        best_lr += 0.12 * (batch - 0.5) + 0.08 * cosine - self.apart * schedule.until
        tuned = 1.5 * (lr - best_lr) ** 2 - decay * cosine
        if configuration.is_vanilla or not self.effect:
            return 3.6 + tuned
        until = schedule.until
        area = statistics.mean(schedule.level(p / 20 * until) for p in range(20))
        wanted = 0.1 + slope * lr
        far = ((until - wanted) / 0.22) ** 2 + ((area - best_area) / 0.35) ** 2
        return 3.6 + tuned - self.effect * (1.4 * math.exp(-far / 2) - 0.4)

    def run(self, configuration: Configuration, seed: int, draw: random.Random) -> float:
        """Return the FID of one run; a seed moves all configurations a little alike."""
        shared = random.Random(f"seed {self.seed} {seed}").gauss(0, self.noise / 2)
        return math.exp(self.log_fid(configuration) + shared + draw.gauss(0, self.noise))

    def best(self) -> float:
        """Return the lowest logarithm of FID, from many draws and a descent from the best."""
        rng = random.Random(f"best {self.seed}")
        source = SpaceSource(FAMILIES, SIDE, SPACE)
        pool = [c for _ in range(32) for c in source.candidates(rng)]
        for _ in range(12):
            pool = sorted(pool, key=self.log_fid)[:24]
            pool += source.near(pool, 240, rng)
        return min(self.log_fid(c) for c in pool)


def search(
    world: World,
    runs: int,
    seed: int,
    sampler: Callable[[int], Sampler],
    arms: list[Configuration],
    space: Hyperspace,
    share: float,
) -> list[Configuration]:
    """Run a search of a world; return what it tried, the lowest expected FID first."""
    draw = random.Random(f"runs {world.seed} {seed}")
    proposer = Proposer(
        arms=[("m", arm) for arm in arms],
        samplers={"m": sampler(seed)},
        seed=0,
        eta=ETA,
        seeds=SEEDS,
        expect=lambda _, tried, fids, seeds: expected_fid(tried, fids, seeds, space),
        share={"m": share} if share else None,
    )
    known: dict[Configuration, list[float]] = {}
    told: dict[Configuration, list[int]] = {}
    for _ in range(runs):
        proposal = proposer.next()
        proposer.started(proposal)
        own = proposal.configuration
        fid = world.run(own, proposal.seed, draw)
        known.setdefault(own, []).append(fid)
        told.setdefault(own, []).append(proposal.seed)
        proposer.ended(proposal.run.trial, "completed", fid, 1)
    worth = expected_fid(list(known), list(known.values()), list(told.values()), space)
    return [own for _, own in sorted(zip(worth, known, strict=True), key=lambda pair: pair[0])]


def first(settings: Settings) -> list[Configuration]:
    """Return what every search tries first."""
    schedules = (Vanilla(), Sigmoid(until=0.6), build("linear", until=0.6))
    return [Configuration(schedule, settings) for schedule in schedules]


def joint(kind: str, world: World, runs: int, seed: int) -> list[Configuration]:
    """Search everything at once."""

    def build_sampler(own: int) -> Sampler:
        source = SpaceSource(FAMILIES, SIDE, SPACE)
        if kind == "shape":
            return ShapeSampler(source, own, SPACE)
        if kind == "random":
            return RandomSampler(source, own)
        how = (SIDE, own, 1, source, SPACE)
        return BothSides(StudySampler(kind, FAMILIES, *how), StudySampler(kind, PLAIN, *how))

    return search(world, runs, seed, build_sampler, first(SPACE.first), SPACE, SHARE)


def schedule_only(
    world: World, runs: int, seed: int, settings: Settings = SPACE.first
) -> list[Configuration]:
    """Search the schedule at fixed hyperparameters, by default those of the first runs."""
    point = Hyperspace({name: Choice((value,)) for name, value in settings}, settings)

    def build_sampler(own: int) -> Sampler:
        return ShapeSampler(SpaceSource(FAMILIES, SIDE, point), own)

    return search(world, runs, seed, build_sampler, first(settings), NOTHING, 0.0)


def each_at_once(world: World, runs: int, seed: int) -> list[Configuration]:
    """Search the schedule alone, and learn each result by itself, however many there are."""
    with mock.patch("mollitune.search.policy.proposer._TOGETHER", 0.0):
        return schedule_only(world, runs, seed)


def seeds_at_once(world: World, runs: int, seed: int) -> list[Configuration]:
    """Search everything at once, with further seeds from the first configurations on."""
    with mock.patch("mollitune.search.policy.proposer._BEFORE_SEEDS", 1):
        return joint("shape", world, runs, seed)


def hyperparameters_only(world: World, runs: int, seed: int) -> list[Configuration]:
    """Search the hyperparameters without mollification."""

    def build_sampler(own: int) -> Sampler:
        return ShapeSampler(SpaceSource(PLAIN, SIDE, SPACE), own, SPACE)

    arms = [Configuration(Vanilla(), SPACE.first)]
    return search(world, runs, seed, build_sampler, arms, SPACE, 1.0)


def one_after_the_other(world: World, runs: int, seed: int) -> list[Configuration]:
    """Tune vanilla with half of the runs, then the schedule at what came of it."""
    plain = hyperparameters_only(world, runs // 2, seed)
    return schedule_only(world, runs - runs // 2, seed, plain[0].settings)


WAYS: dict[str, Callable[[World, int, int], list[Configuration]]] = {
    "joint, shape": partial(joint, "shape"),
    "joint, shape, further seeds at once": seeds_at_once,
    "joint, tpe": partial(joint, "tpe"),
    "joint, random": partial(joint, "random"),
    "schedule only": schedule_only,
    "schedule only, each result at once": each_at_once,
    "hyperparameters only": hyperparameters_only,
    "one after the other": one_after_the_other,
}


def regrets(names: Sequence[str], runs: int, apart: float, seed: int) -> list[tuple[float, float]]:
    """Return regret in per cent of FID, and CPU seconds, of each way in one world."""
    world = World(seed, apart=apart)
    best, found = world.best(), []  # which takes longer than a search
    for name in names:
        start = time.process_time()
        chosen = WAYS[name](world, runs, seed)[0]
        seconds = time.process_time() - start
        found.append((100 * (math.exp(world.log_fid(chosen) - best) - 1), seconds))
    return found


def rows(names: list[str], apart: float, runs: int, worlds: range, workers: int) -> Iterator[str]:
    """Yield a Markdown table."""
    yield f"| way, {runs} runs | regret, % of FID | standard error | CPU s per search |"
    yield "|---|---|---|---|"
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(partial(regrets, names, runs, apart), worlds, chunksize=4))
    for name, of_one in zip(names, zip(*found, strict=True), strict=True):
        values, seconds = zip(*of_one, strict=True)
        error = statistics.stdev(values) / math.sqrt(len(worlds))
        yield (
            f"| {name} | {statistics.mean(values):.2f} | {error:.2f} | "
            f"{statistics.mean(seconds):.1f} |"
        )


def verdict(effect: float, runs: int, seeds: int, seed: int) -> tuple[bool, bool]:
    """Search a world and confirm both sides on fresh seeds.

    Returns:
        Whether some schedule is said to beat tuned vanilla, and whether it would be without its
        twin, vanilla at the schedule's own hyperparameters.
    """
    world = World(seed, effect=effect)
    found = joint("shape", world, runs, seed)
    plain = next(own for own in found if own.is_vanilla)
    best = [own for own in found if not own.is_vanilla][:TOP]
    twins = [Configuration(Vanilla(), own.settings) for own in best]
    arms = list(dict.fromkeys((plain, *best, *twins)))
    draw = random.Random(f"confirm {seed}")
    fids = {
        i: {s: world.run(own, 10_000 + s, draw) for s in range(seeds)}
        for i, own in enumerate(arms)
    }
    number = {own: i for i, own in enumerate(arms)}
    pairs = {number[own]: number[t] for own, t in zip(best, twins, strict=True) if t != plain}
    said = judge(fids, 0, seeds, twins=pairs)

    def below(difference: Difference | None) -> bool:
        return difference is not None and difference.high is not None and difference.high < 0

    better = [number[own] for own in best if below(said.differences.get(number[own]))]
    real = [arm for arm in better if arm not in pairs or below(said.equal[arm])]
    return bool(real), bool(better)


def verdicts(runs: int, worlds: range, workers: int) -> Iterator[str]:
    """Yield a Markdown table of how often a schedule is said to beat tuned vanilla."""
    yield f"| effect, {runs} runs, {len(worlds)} searches | said to beat | without the twin |"
    yield "|---|---|---|"
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for effect in (0.0, 0.1, 0.3):
            play = partial(verdict, effect, runs, SEEDS)
            found = list(pool.map(play, worlds, chunksize=4))
            said, alone = (100 * statistics.mean(column) for column in zip(*found, strict=True))
            yield f"| {effect:g} | {said:.1f} % | {alone:.1f} % |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=48)
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--first", type=int, default=1000, help="the sampler was made on 0 to 39")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--apart", type=float, default=0.0, help="see World")
    parser.add_argument("--verdicts", action="store_true", help="what a confirmation says")
    options = parser.parse_args()
    worlds = range(options.first, options.first + options.searches)
    how = options.runs, worlds, options.workers
    for line in verdicts(*how) if options.verdicts else rows(options.ways, options.apart, *how):
        print(line, flush=True)


if __name__ == "__main__":
    main()
