"""Do the intervals of expected FIDs hold? Recorded tables tell, by seeds that no search has seen.

Each simulated search runs some configurations of a table once, the best third of them on a second
seed, and so on, as in a race; its seeds are drawn from all that were recorded, and the others
judge. Then the mean over the judging seeds should lie in 90 % of the intervals of the mean, and a
run on a judging seed in 90 % of those of one run. The mean over few judging seeds is itself
uncertain, which lowers the first.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
from policy import redrawn

from mollitune.analysis import load_results
from mollitune.search.policy import ShapeSurrogate
from mollitune.search.replay.recording import record
from mollitune.search.replay.replay import Recording

TABLES = Path(__file__).parent / "curves"


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


def held(recorded: Recording, count: int, searches: int) -> dict[str, float]:
    """Return how often intervals held, in per cent, and by how much the best is overrated."""
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(searches):
        recording = redrawn(recorded, number)
        told = race(recording, count, random.Random(number))
        surrogate = ShapeSurrogate(
            [recording.configurations[i] for i in told],
            [list(own.values()) for own in told.values()],
            [list(own) for own in told.values()],
            recording.hyperspace,
        )
        belief = surrogate.tried()
        low, high = belief.interval()
        run_low, run_high = belief.interval(run=True)
        truth = [np.array(recording.truth[i]) for i in told]
        errors = np.log([own.mean() for own in truth]) - belief.location
        best = int(belief.location.argmin())
        for i, own in enumerate(truth):
            of_mean = 100 * float(low[i] <= own.mean() <= high[i])
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
    parser.add_argument("--configurations", type=int, nargs="+", default=(16, 64))
    options = parser.parse_args()
    names = ("mean, all", "mean, best", "run, all", "run, best", "overrated")
    print(f"| table | configurations | {' | '.join(f'{n}, %' for n in names)} | effective draws |")
    print("|---|---|---|---|---|---|---|---|")
    for table in options.tables or sorted(path.name for path in TABLES.iterdir()):
        results = load_results(table, TABLES)
        recording = record(results, str(results.reports["model"].iloc[0]))
        for count in options.configurations:
            if count <= max(16, len(recording.configurations)):
                found = held(recording, count, options.searches)
                cells = " | ".join(f"{found[name]:.0f}" for name in (*names, "effective draws"))
                print(f"| {table} | {count} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
