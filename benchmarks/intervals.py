"""Do the intervals of expected FIDs hold? Recorded tables tell, by seeds that no search has seen.

Each simulated search runs some configurations of a table once, the best third of them on a second
seed, and so on, as in a race; its seeds are drawn from all that were recorded, and the others
judge. Then a run on a judging seed should lie in 90 % of the intervals of one run, and the mean
over the judging seeds in 90 % of those of the mean, widened by what so few seeds leave uncertain
themselves. The same for the known worlds of `joint.py`, schedules alone and with hyperparameters,
where twenty seeds judge.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from joint import FAMILIES, SIDE, SPACE, World
from policy import redrawn
from scipy.special import ndtri

from mollitune.analysis import load_results
from mollitune.schedules import Choice
from mollitune.search.policy import Hyperspace, ShapeSurrogate
from mollitune.search.policy.hyperspace import NOTHING
from mollitune.search.policy.source import SpaceSource
from mollitune.search.replay.recording import record
from mollitune.search.replay.replay import Point, Recording

TABLES = Path(__file__).parent / "curves"
Z = ndtri(0.95)  # both ends of 90 %


def race(recording: Recording, count: int, rng: random.Random) -> dict[int, dict[int, float]]:
    """Return FIDs by configuration and seed, as a search might have them."""
    pool = range(len(recording.configurations))
    seeds = rng.sample(range(recording.seeds), recording.seeds)
    found: dict[int, dict[int, float]] = {i: {} for i in rng.sample(pool, min(count, len(pool)))}
    for number, seed in enumerate(seeds):
        best = sorted(found, key=lambda i: np.mean([*found[i].values()] or [0]))
        for i in best[: max(1, len(found) // 3**number)]:
            found[i][seed] = recording.curves[i][seed][-1].fid
    return found


def simulated(seed: int, space: Hyperspace) -> Recording:
    """Return 64 configurations of a known world, with 23 seeds each."""
    world, rng = World(seed), random.Random(seed)
    fixed = Hyperspace({name: Choice((value,)) for name, value in SPACE.first}, SPACE.first)
    source = SpaceSource(FAMILIES, SIDE, space or fixed)
    pool = [source.draw(rng) for _ in range(64)]
    fids = [[world.run(own, s, rng) for s in range(23)] for own in pool]
    curves = tuple(tuple((Point(1, 1.0, "clean", fid),) for fid in own) for own in fids)
    return Recording("m", tuple(pool), curves, tuple(map(tuple, fids)), False, space)


def recordings(names: Sequence[str]) -> Iterator[tuple[str, list[Recording]]]:
    """Yield recorded tables, or, if none is named, all of them and the known worlds."""
    for name in names or sorted(path.name for path in TABLES.iterdir()):
        results = load_results(name, TABLES)
        yield name, [record(results, str(results.reports["model"].iloc[0]))]
    if not names:
        yield "simulated, schedules", [simulated(seed, NOTHING) for seed in range(20)]
        yield "simulated, joint", [simulated(seed, SPACE) for seed in range(20)]


def held(recorded: Sequence[Recording], count: int, searches: int) -> dict[str, float]:
    """Return how often intervals held, in per cent, and by how much the best is overrated."""
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(searches):
        recording = redrawn(recorded[number % len(recorded)], number)
        told = race(recording, count, random.Random(number))
        surrogate = ShapeSurrogate(
            [recording.configurations[i] for i in told],
            [list(own.values()) for own in told.values()],
            [list(own) for own in told.values()],
            recording.hyperspace,
        )
        belief = surrogate.tried()
        run_low, run_high = belief.interval(run=True)
        truth = [np.array(recording.truth[i]) for i in told]
        errors = np.log([own.mean() for own in truth]) - belief.location
        judged = belief.seed_scale / len(truth[0]) ** 0.5
        spread = np.sqrt(belief.scale**2 + belief.level_scale**2 + judged**2)
        best = int(belief.location.argmin())
        for i, own in enumerate(truth):
            of_mean = 100 * float(abs(errors[i]) <= Z * spread[i])
            of_run = 100 * float(np.mean((run_low[i] <= own) & (own <= run_high[i])))
            for name in ("all", "best")[: 1 + (i == best)]:
                found[f"mean, {name}"].append(of_mean)
                found[f"run, {name}"].append(of_run)
        found["effective draws"].append(surrogate.effective)
        found["overrated"].append(100 * float(errors[best] - errors.mean()))
    return {name: float(np.mean(own)) for name, own in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help="default: all")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--configurations", type=int, nargs="+", default=(16, 32, 64))
    options = parser.parse_args()
    names = ("mean, all", "mean, best", "run, all", "run, best", "overrated")
    print(f"| table | configurations | {' | '.join(f'{n}, %' for n in names)} | effective draws |")
    print("|---|---|---|---|---|---|---|---|")
    for table, recorded in recordings(options.tables):
        for count in options.configurations:
            if count <= max(16, len(recorded[0].configurations)):
                found = held(recorded, count, options.searches)
                cells = " | ".join(f"{found[name]:.0f}" for name in (*names, "effective draws"))
                print(f"| {table} | {count} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
