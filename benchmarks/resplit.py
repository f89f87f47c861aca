"""How much of a policy's lead over random search is luck of the recorded search seeds?

`policy.py` lets every policy search with the same few seeds, and its errors are between judging
seeds alone. Here the search seeds are drawn anew, again and again, from all that were recorded,
and the others judge. Whole curves were recorded for few seeds, so only what reads final values can
be replayed: the default policy, and random search. Some of these seeds were looked at while the
default was chosen, so the mean flatters it a little; what counts is the spread.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import stock
from policy import SIDES, TABLES

from mollitune.analysis import load_results
from mollitune.search.policy.source import arms_within
from mollitune.search.replay.comparison import policies
from mollitune.search.replay.recording import record
from mollitune.search.replay.replay import Point, Recording, replay

SEARCH_SEEDS = 3
BUDGETS = {
    "digits-realnvp": 24.0,
    "digits-vae": 24.0,
    "cifar10-vae": 12.0,
    "cifar10fresh-vae": 12.0,
}


def gap(recording: Recording, side: int, budget: float, orders: int, split: int) -> float:
    """Judged FID of what the default recommends, less that of random search, for one split."""
    drawn = redrawn(recording, split)
    default = policies(side, arms_within(len(drawn.arms), budget), drawn.seeds)[0]
    values = drawn.values
    ours = (replay(drawn, default, budget, order) for order in range(orders))
    chance = (stock.random_search(drawn, budget, order) for order in range(orders))
    return statistics.mean(values[o.chosen] for o in ours) - statistics.mean(
        values[o.chosen] for o in chance
    )


def redrawn(recording: Recording, split: int) -> Recording:
    """Return a recording whose search seeds are drawn anew; what is left judges."""
    finals = [
        [*(curve[-1].fid for curve in curves), *judges]
        for curves, judges in zip(recording.curves, recording.truth, strict=True)
    ]
    seeds = list(range(len(finals[0])))
    random.Random(split).shuffle(seeds)
    step = recording.curves[0][0][-1].step
    return replace(
        recording,
        curves=tuple(
            tuple((Point(step, 1.0, "clean", own[s]),) for s in seeds[:SEARCH_SEEDS])
            for own in finals
        ),
        truth=tuple(tuple(own[s] for s in seeds[SEARCH_SEEDS:]) for own in finals),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", default=list(BUDGETS))
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--orders", type=int, default=25, help="random orders of each split")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    print("| table | seeds | runs | default less random search | spread between splits | worst |")
    print("|---|---|---|---|---|---|")
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        for name in options.studies:
            data, model = name.split("-")
            recording = record(load_results(str(TABLES / name)), model)
            play = partial(gap, recording, SIDES[data], BUDGETS[name], options.orders)
            gaps = list(pool.map(play, range(options.splits)))
            count = recording.seeds + len(recording.truth[0])
            cells = [name, f"{count}", f"{BUDGETS[name]:g}", f"{statistics.mean(gaps):+.2f}"]
            cells += [f"{statistics.stdev(gaps):.2f}", f"{max(gaps):+.2f}"]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
