"""What earlier searches give a new one, on recorded tables: regret without them, and with.

As earlier searches stand the other tables, one by one and all together; and one that misleads: the
new search's own table with its values dealt anew, which must cost little.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from mollitune.analysis import Results, load_results
from mollitune.search.policy.earlier import Earlier
from mollitune.search.policy.source import arms_within
from mollitune.search.replay.comparison import with_prior
from mollitune.search.replay.recording import prior_of, record
from mollitune.search.replay.replay import Recording, replay

TABLES = Path(__file__).parent / "curves"
NAMES = ("digits-realnvp", "digits-vae", "cifar10-vae", "cifar10fresh-vae", "cifar10-glow")


def priors(
    results: Results, recording: Recording, others: dict[str, Results]
) -> Iterator[tuple[str, tuple[Earlier, ...]]]:
    """Yield names of what went before, and what that has shown."""
    yield "nothing", ()
    for name, other in others.items():
        yield name, prior_of([other], results, recording)
    yield "all of these", prior_of(list(others.values()), results, recording)
    (own,) = prior_of([results], results, recording)
    dealt = random.Random(0).sample(own.values, len(own.values))
    seeds = tuple(tuple(range(len(values))) for values in dealt)
    yield "its own, dealt anew", (replace(own, values=tuple(dealt), seeds=seeds),)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=NAMES)
    parser.add_argument("--budget", type=float, default=12.0, help="complete runs of a search")
    parser.add_argument("--orders", type=int, default=40)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    known = {name: load_results(name, TABLES) for name in options.tables}
    print("| search | from | regret, FID | share of the pool's spread |\n|---|---|---|---|")
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        for name, results in known.items():
            recording = record(results, str(results.reports["model"].iloc[0]))
            arms = arms_within(len(recording.arms), options.budget)
            values, others = recording.values, {n: own for n, own in known.items() if n != name}
            for told, earlier in priors(results, recording, others):
                policy = with_prior(earlier, recording.seeds, arms)
                play = partial(replay, recording, policy, options.budget)
                chosen = [out.chosen for out in pool.map(play, range(options.orders), chunksize=5)]
                regrets = [values[own] - min(values) for own in chosen]
                error = statistics.stdev(regrets) / len(regrets) ** 0.5
                share = statistics.mean(regrets) / statistics.stdev(values)
                print(
                    f"| {name} | {told} | {statistics.mean(regrets):.2f} ± {error:.2f} "
                    f"| {share:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
