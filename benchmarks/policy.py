"""Search policies on recorded runs: regret at equal cost, judged on seeds that none has seen.

Beside the policies of this library stand what one would use without it, see `stock.py`.

All orders of one draw of search seeds often recommend one and the same schedule, so they are one
sample, however many. So the search seeds are drawn anew, again and again, from all that were
recorded; the others judge, and the spread between such draws is the error. Policies that look at
rungs, and those that start from a first evaluation, need whole curves: of the tables called
*unseen* all seeds have them, of the others few, so there such policies are compared with
``--curves``, on one draw of search seeds.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import optuna
import stock
from scipy.stats import spearmanr

from mollitune.analysis import load_results
from mollitune.search.policy.source import arms_within, distance
from mollitune.search.policy.surrogate import ShapeSurrogate, expected_fid
from mollitune.search.replay.comparison import policies
from mollitune.search.replay.recording import record
from mollitune.search.replay.replay import Point, Policy, Recording, ReplayOutcome, replay

TABLES = Path(__file__).parent / "curves"
BUDGETS = {"digits": 24.0, "digitsjoint": 24.0}
"""Complete runs by data, where they are not 12; ten for glow, of which there are few seeds."""
SEARCHED = {"cifar10-glow": 2}
"""Seeds that a search may use, where they are not three, by table."""
SEEN = {"digits-realnvp": 3, "digits-vae": 8, "cifar10-vae": 4, "cifar10-glow": 0}
"""Judging seeds, the first ones, that were looked at while the default policy was chosen. Those of
glow were too, but there are no others."""
TRIED = 12
DRAWS = 50
_FEWEST = 6  # schedules of which a rank correlation says something

Play = Callable[[int], ReplayOutcome]


def plays(recording: Recording, budget: float, side: int) -> dict[str, Play]:
    """Every policy under its name, as a function of the seed of the order."""
    ours = policies(side, arms_within(len(recording.arms), budget), recording.seeds)
    bare = [replace(p, name=f"{p.name}, no arms", arms=0) for p in ours if "none" not in p.name]
    stocks: dict[str, Play] = {
        "stock: Ray ASHA + OptunaSearch": partial(
            stock.asha_with_optuna, recording, budget, side=side
        ),
        "stock: random search": partial(stock.random_search, recording, budget),
        "stock: first evaluation, then top k": partial(
            stock.first_evaluation_then_top, recording, budget
        ),
    }
    replays: dict[str, Play] = {
        policy.name: partial(replay, recording, policy, budget) for policy in [*ours, *bare[:1]]
    }
    every = stocks | replays
    if recording.hyperspace:
        every |= {
            "race, shape, vanilla alone": partial(vanilla_alone, recording, ours[0], budget),
            "one after the other": partial(one_after_the_other, recording, ours[0], budget),
        }
    if all(point.probe_fid is None for point in recording.curves[0][0]):
        every = {name: p for name, p in every.items() if "probe" not in name}
    if len(recording.curves[0][0]) == 1:  # only ends were recorded: nothing can look at a rung
        rungs = ("late_cut", "probe", "asha", "ASHA", "first evaluation")
        return {name: p for name, p in every.items() if not any(r in name for r in rungs)}
    return every


def vanilla_alone(recording: Recording, policy: Policy, budget: float, seed: int) -> ReplayOutcome:
    """Search the hyperparameters without mollification."""
    plain = [i for i, own in enumerate(recording.configurations) if own.is_vanilla]
    return replayed_in(recording, plain, replace(policy, arms=1), budget, seed)


def one_after_the_other(
    recording: Recording, policy: Policy, budget: float, seed: int
) -> ReplayOutcome:
    """Tune vanilla with half of the runs, then the schedule near what came of it.

    The pool has few schedules at the very same hyperparameters: the nearest third counts.
    """
    first = vanilla_alone(recording, policy, budget / 2, seed)
    tuned, space = recording.configurations[first.chosen], recording.hyperspace

    def away(number: int) -> float:
        own = recording.configurations[number]
        return distance(replace(own, schedule=tuned.schedule), tuned, space)

    mollified = [i for i, own in enumerate(recording.configurations) if not own.is_vanilla]
    near = sorted(mollified, key=away)[: len(mollified) // 3]
    second = replayed_in(recording, near, replace(policy, arms=0), budget / 2, seed)
    return replace(
        second,
        cost=first.cost + second.cost,
        configurations=first.configurations + second.configurations,
        runs=first.runs + second.runs,
    )


def replayed_in(
    recording: Recording, numbers: Sequence[int], policy: Policy, budget: float, seed: int
) -> ReplayOutcome:
    """Replay a policy on a part of the pool; the outcome has the numbers of the whole pool."""
    part = replace(
        recording,
        configurations=tuple(recording.configurations[i] for i in numbers),
        curves=tuple(recording.curves[i] for i in numbers),
        truth=tuple(recording.truth[i] for i in numbers),
    )
    found = replay(part, policy, budget, seed)
    return replace(found, chosen=numbers[found.chosen], lowest=numbers[found.lowest])


def redrawn(recording: Recording, draw: int, searched: int = 3) -> Recording:
    """Return a recording whose search seeds are drawn anew; the others judge.

    Of whole curves the ends alone are kept if some seeds have nothing else.
    """
    step = recording.curves[0][0][-1].step
    runs = list(recording.curves)
    if recording.held_out:
        runs = [
            tuple(
                (Point(step, 1.0, "clean", fid),) for fid in (*(c[-1].fid for c in own), *judges)
            )
            for own, judges in zip(recording.curves, recording.truth, strict=True)
        ]
    seeds = list(range(len(runs[0])))
    random.Random(draw).shuffle(seeds)
    return replace(
        recording,
        curves=tuple(tuple(own[s] for s in seeds[:searched]) for own in runs),
        truth=tuple(tuple(own[s][-1].fid for s in seeds[searched:]) for own in runs),
        held_out=True,
    )


def over_orders(
    recording: Recording, budget: float, side: int, searched: int, orders: int, draw: int
) -> dict[str, float]:
    """Return the regret of each policy for one draw of search seeds."""
    drawn = redrawn(recording, draw, searched)
    values, every = drawn.values, plays(drawn, budget, side)
    return {
        name: statistics.mean(values[play(order).chosen] for order in range(orders)) - min(values)
        for name, play in every.items()
    }


def table_of_draws(found: Sequence[dict[str, float]]) -> list[str]:
    """Rows of Markdown: mean regret, and the difference to random search with its error."""
    lines = ["| policy | regret | less random search | spread of draws | worst draw |"]
    lines.append("|---|---|---|---|---|")
    for name in found[0]:
        regret = statistics.mean(own[name] for own in found)
        gaps = [own[name] - own["stock: random search"] for own in found]
        mean, spread = statistics.mean(gaps), statistics.stdev(gaps)
        cells = [f"{regret:.2f}", f"{mean:+.2f} ± {spread / len(gaps) ** 0.5:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {spread:.2f} | {max(gaps):+.2f} |")
    return lines


def table(recording: Recording, played: dict[str, list[ReplayOutcome]]) -> list[str]:
    """Rows of Markdown: mean regret, its difference to random search, and what it cost."""
    values = recording.values
    best = min(values)
    judges = list(zip(*recording.truth, strict=True))
    lines = [
        "| policy | regret | against random search | by the lowest FID | cost | schedules | "
        "runs | stopped |",
        "|---|---|---|---|---|---|---|---|",
    ]
    chance = played["stock: random search"]
    for name, outcomes in played.items():
        regret = statistics.mean(values[o.chosen] - best for o in outcomes)
        lowest = statistics.mean(values[o.lowest] - best for o in outcomes)
        # the error is between held-out seeds: more orders of one table prove nothing
        gaps = [
            statistics.mean(fids[o.chosen] for o in outcomes)
            - statistics.mean(fids[o.chosen] for o in chance)
            for fids in judges
        ]
        error = statistics.stdev(gaps) / len(gaps) ** 0.5
        counts = [
            statistics.mean(getattr(o, key) for o in outcomes)
            for key in ("cost", "configurations", "runs", "stopped")
        ]
        cells = [f"{regret:.2f}", f"{statistics.mean(gaps):+.2f} ± {error:.2f}", f"{lowest:.2f}"]
        lines.append(f"| {name} | {' | '.join([*cells, *(f'{c:.1f}' for c in counts)])} |")
    return lines


def limits(recording: Recording, others: Sequence[Sequence[float]]) -> str:
    """What would be reached by somebody who had trained the whole pool, with how many seeds.

    The regret of nobody can be zero: the lowest of many noisy means is lower than the truth.

    Args:
        recording: The curves.
        others: For each schedule FIDs of further seeds, which do not judge.
    """
    values = recording.values
    runs = [[curve[-1].fid for curve in curves] for curves in recording.curves]
    seeds = [list(range(len(r))) for r in runs]
    by_mean = min(range(len(runs)), key=lambda i: statistics.mean(runs[i]))
    worth = expected_fid(recording.configurations, runs, seeds, recording.hyperspace)
    by_shape = worth.index(min(worth))
    most = [[*own, *more] for own, more in zip(runs, others, strict=True)]
    by_most = min(range(len(most)), key=lambda i: statistics.mean(most[i]))
    best = min(values)
    return (
        f"The whole pool trained with all {recording.seeds} search seeds "
        f"({len(runs) * recording.seeds} runs): regret {values[by_mean] - best:.2f} by the mean, "
        f"{values[by_shape] - best:.2f} by the surrogate; with all {len(most[0])} seeds that do "
        f"not judge, {values[by_most] - best:.2f} by the mean. A schedule drawn at random: "
        f"{statistics.mean(values) - best:.2f}."
    )


def foretold(recording: Recording) -> str:
    """How far single runs tell the order of schedules that were not tried, by their shape."""
    values, by_shape, by_seed = recording.values, [], []
    finals = [[curve[-1].fid for curve in curves] for curves in recording.curves]
    for draw in range(DRAWS):
        rng = random.Random(draw)
        order = rng.sample(range(len(finals)), len(finals))
        first, second = rng.sample(range(recording.seeds), 2)
        tried, others = order[:TRIED], order[TRIED:]
        surrogate = ShapeSurrogate(
            [recording.configurations[i] for i in tried],
            [[finals[i][first]] for i in tried],
            hyperspace=recording.hyperspace,
        )
        believed = surrogate.at([recording.configurations[i] for i in others]).fid
        by_shape.append(spearmanr(believed, [values[i] for i in others]).statistic)
        by_seed.append(
            spearmanr([f[first] for f in finals], [f[second] for f in finals]).statistic
        )
    arms = [(c.schedule.family, recording.configurations.index(c)) for c in recording.arms]
    defaults = ", ".join(f"{name} {values[i] - min(values):.1f}" for name, i in arms)
    return (
        f"Spearman's correlation, mean of {DRAWS} draws: {TRIED} single runs predict the judged "
        f"FID of the other schedules by {statistics.mean(by_shape):.2f} (the surrogate), two "
        f"search seeds agree by {statistics.mean(by_seed):.2f}. Regret of the families' defaults: "
        f"{defaults}."
    )


def looks(recordings: Sequence[Recording]) -> str:
    """How far a value on the way tells the order in the end; of all, and of those that are clean.

    Args:
        recordings: Draws of the search seeds of one table.
    """
    cells = []
    for number, point in enumerate(recordings[0].curves[0][0]):
        clean = [
            i for i, own in enumerate(recordings[0].curves) if own[0][number].phase == "clean"
        ]
        every = list(range(len(recordings[0].curves)))
        found = [f"{len(clean)} clean"]
        for which in (every, clean)[: 1 + (_FEWEST <= len(clean) < len(every))]:
            rank = statistics.mean(
                spearmanr(
                    [drawn.curves[i][seed][number].fid for i in which],
                    [drawn.values[i] for i in which],
                ).statistic
                for drawn in recordings
                for seed in range(drawn.seeds)
            )
            found.append(f"{rank:.2f}")
        cells.append(
            f"at {100 * point.progress:.0f} % {found[1]} ({', '.join(found[:1] + found[2:])})"
        )
    return (
        "Spearman's correlation of one run's values with the judged FID, in brackets how many "
        f"schedules are clean by then, and theirs: {'; '.join(cells)}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", help="default: all")
    parser.add_argument("--orders", type=int, help="default: 10 of each draw; with --curves 500")
    parser.add_argument("--draws", type=int, default=20, help="of search seeds")
    parser.add_argument("--curves", action="store_true", help="also policies that look at rungs")
    parser.add_argument("--budgets", type=float, nargs="+", help="complete runs")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument(
        "--seen", action="store_true", help="--curves: judge by the seeds that chose the default"
    )
    parser.add_argument("--tables", type=Path, default=TABLES)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=spawn, initializer=_quiet) as pool:
        for name in options.studies or sorted(p.name for p in options.tables.iterdir()):
            data, model = name.split("-")
            recording = record(load_results(str(options.tables / name)), model)
            budgets = options.budgets or [10.0 if model == "glow" else BUDGETS.get(data, 12.0)]
            if not (options.curves and recording.held_out):
                for budget in budgets:
                    show_draws(name, recording, budget, options, pool)
                continue
            seen = SEEN.get(name, 0)
            judged = slice(0, seen) if options.seen else slice(seen, None)
            others = [() if options.seen else fids[:seen] for fids in recording.truth]
            recording = replace(recording, truth=tuple(t[judged] for t in recording.truth))
            for budget in budgets:
                every = plays(recording, budget, side_of(name))
                orders = range(options.orders or 500)
                futures = {n: pool.map(p, orders, chunksize=10) for n, p in every.items()}
                played = {n: list(found) for n, found in futures.items()}
                judges = f"{len(recording.truth[0])} judging seeds"
                size = f"{len(recording.configurations)} configurations, {judges}"
                print(f"\n### {name}: {size}, {budget:g} runs, {len(orders)} orders\n")
                print("\n".join(table(recording, played)))
                print(f"\n{limits(recording, others)}\n\n{foretold(recording)}")
                print(f"\n{looks([recording])}", flush=True)


def show_draws(
    name: str,
    recording: Recording,
    budget: float,
    options: argparse.Namespace,
    pool: ProcessPoolExecutor,
) -> None:
    """Print the table of a recording whose search seeds are drawn anew."""
    searched, orders = SEARCHED.get(name, 3), options.orders or 10
    play = partial(over_orders, recording, budget, side_of(name), searched, orders)
    found = list(pool.map(play, range(options.draws)))
    seeds = recording.seeds + (len(recording.truth[0]) if recording.held_out else 0)
    print(
        f"\n### {name}: {len(recording.configurations)} configurations, {searched} of {seeds} "
        f"seeds, {budget:g} runs, {options.draws} draws of {orders} orders\n"
    )
    print("\n".join(table_of_draws(found)), flush=True)
    drawn = [redrawn(recording, draw, searched) for draw in range(options.draws)]
    if len(drawn[0].curves[0][0]) > 1:
        print(f"\n{looks(drawn)}", flush=True)


def side_of(name: str) -> int:
    """Return the side of the images of a table in pixels."""
    return 8 if name.startswith("digits") else 16


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


if __name__ == "__main__":
    main()
