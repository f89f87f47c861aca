"""How often does the verdict of a confirmation err? Thousands of simulated searches tell.

In each a search ranks 20 schedules by one to three noisy FIDs; the best of them, vanilla and the
paper's default are confirmed on fresh paired seeds, dropped when they are clearly out, and judged,
all by the code that judges real confirmations. The truth is known, so errors can be counted.
"""

from __future__ import annotations

import argparse
import math
import platform
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from mollitune.analysis import clearly_out, judge, load_results
from mollitune.analysis.confirmation import level_of

Array = NDArray[np.float64]

CURVES = Path(__file__).parent / "curves"
RECORDED = ("digits-realnvp", "digits-vae", "cifar10-vae")
VANILLA, DEFAULT = 0, 1  # positions of the two arms that are always confirmed
SCHEDULES = 20
BASE, SD, SEED_SD = 70.0, 4.0, 3.0  # FID of vanilla; spread between runs, and between seeds
LEVEL = level_of(1)
"""That of a first confirmation: others may follow."""
ROUNDS, SEEDS = 3, 5
"""How often somebody confirms who goes on, and seeds each time."""


@dataclass(frozen=True)
class Scenario:
    """A made-up world.

    Arguments:
        name: What is special about it.
        means: True FID of each schedule, shape (schedules,); vanilla first, then the default.
        noise: Draws noise of mean 0 and variance 1 of the given shape.
        spread: Standard deviation between the runs of each schedule, shape (schedules,).
        seed_sd: Standard deviation of what all arms of one seed share.
        failing: Probability that a run fails.
        recorded: FIDs of real runs, shape (seeds, schedules), whose spread and pairing is taken
            instead.
    """

    name: str
    means: Array
    noise: Callable[[np.random.Generator, tuple[int, ...]], Array]
    spread: Array
    seed_sd: float = SEED_SD
    failing: float = 0.0
    recorded: Array | None = None

    def draw(self, rng: np.random.Generator, searches: int, seeds: int) -> Array:
        """FIDs of all schedules on fresh seeds, shape (searches, seeds, schedules)."""
        if self.recorded is not None:
            # normal with the covariance of the recorded seeds
            rows = len(self.recorded)
            weights = rng.standard_normal((searches, seeds, rows)) / math.sqrt(rows - 1)
            fids: Array = self.means + weights @ (self.recorded - self.recorded.mean(axis=0))
            return fids
        context = self.seed_sd * rng.standard_normal((searches, seeds, 1))
        own = self.noise(rng, (searches, seeds, len(self.means))) * self.spread
        return self.means + context + own


class Confirmed(NamedTuple):
    """One simulated confirmation, before it is judged."""

    arms: list[int]
    seen: dict[int, dict[int, float]]
    out: set[int]
    broken: set[int]
    saved: int


class Outcome(NamedTuple):
    """What became of one simulated search."""

    false_beats: bool  # some schedule that is no better than vanilla is said to beat it
    best_lost: bool  # the truly best arm that did not fail is not tied
    missed: bool  # some true difference lies outside of its interval
    better: int  # schedules that are truly better than vanilla
    found: int  # how many of these are said to beat it
    tied: int
    saved: float  # share of the runs that elimination made unnecessary
    regret: float  # true FID of the choice less that of the best arm
    regret_lowest: float  # the same for the arm with the lowest mean
    harm: bool  # the choice is truly worse than vanilla
    harm_lowest: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=2000, help="simulated per scenario")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--looks", action="store_true", help="how often do several looks err?")
    arguments = parser.parse_args()
    print(
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, numpy "
        f"{np.__version__}, scipy {scipy.__version__}; {arguments.searches} searches per line; "
        f"stated: at most {100 * (1 - LEVEL):.3g} % each, 5 % over all confirmations"
    )
    if arguments.looks:
        show_looks(arguments.searches, arguments.seed)
        return
    worst = []
    worlds = list(scenarios())
    for top, seeds in ((5, 5), (5, 8), (5, 10), (3, 5), (1, 5)):
        rng = np.random.default_rng(arguments.seed)
        lines = []
        for scenario in worlds:
            outcomes = list(simulate(scenario, rng, arguments.searches, top, seeds))
            lines.append((scenario.name, outcomes))
        show(f"top {top}, {seeds} seeds", lines)
        worst.append((top, seeds, lines))
    show_worst(worst)


def scenarios() -> Iterator[Scenario]:
    """The made-up worlds, then those of recorded runs."""
    level = np.full(SCHEDULES, BASE)
    same = np.full(SCHEDULES, SD)
    slope = BASE - 10 + np.linspace(0, 14, SCHEDULES)[_ranks()]
    uneven = np.where(np.arange(SCHEDULES) % 2, 3 * SD, SD)
    wild = np.where(np.arange(SCHEDULES) == VANILLA, SD, 3 * SD)
    equal = Scenario("all equal", level, normal, same)
    gaps = Scenario("gaps of 0.7", slope, normal, same)
    yield equal
    yield replace(equal, name="one better by 12", means=_with(level, {7: BASE - 12}))
    yield replace(
        equal, name="six better by 10", means=_with(level, dict.fromkeys(range(4, 10), BASE - 10))
    )
    yield gaps
    yield replace(gaps, name="gaps of 0.2", means=BASE + 0.3 * (slope - BASE))
    yield replace(gaps, name="gaps, default worse by 25", means=_with(slope, {DEFAULT: BASE + 25}))
    yield replace(gaps, name="gaps, seeds all alike", seed_sd=0.0)
    yield replace(gaps, name="gaps, seeds differ by 12", seed_sd=12.0)
    yield replace(equal, name="equal, spread 4 or 12", spread=uneven)
    yield replace(gaps, name="gaps, spread 4 or 12", spread=uneven)
    yield replace(equal, name="equal, vanilla 4, others 12", spread=wild)
    yield replace(equal, name="equal, heavy tails (t, 4 df)", noise=heavy)
    yield replace(gaps, name="gaps, heavy tails (t, 4 df)", noise=heavy)
    yield replace(equal, name="equal, skew 0.6 (lognormal)", noise=skew(0.2))
    yield replace(gaps, name="gaps, skew 0.6 (lognormal)", noise=skew(0.2))
    yield replace(equal, name="equal, skew 1.75 (lognormal)", noise=skew(0.5))
    yield replace(
        equal, name="equal, skew 0.6, vanilla 4, others 12", noise=skew(0.2), spread=wild
    )
    yield replace(
        equal, name="equal, skew 1.75, vanilla 4, others 12", noise=skew(0.5), spread=wild
    )
    # the best by a hair, which must be tied, is the one that spreads unlike the others
    hair = _with(level, {DEFAULT: BASE - 1e-3})
    odd = np.where(np.arange(SCHEDULES) == DEFAULT, 3 * SD, SD)
    yield replace(equal, name="best 12, others 4", means=hair, spread=odd)
    yield replace(
        equal,
        name="best 4, others 12, skew 1.75",
        means=hair,
        noise=skew(0.5),
        spread=np.where(np.arange(SCHEDULES) == DEFAULT, SD, 3 * SD),
    )
    yield replace(gaps, name="gaps, a tenth of the runs fail", failing=0.1)
    yield replace(
        gaps, name="gaps, the best spreads by 16", spread=_with(same, {_best(slope): 16})
    )
    yield replace(gaps, name="gaps, 1 run in 20 worse by 8 sd", noise=rare)
    for name in RECORDED:
        yield recorded(name)


def recorded(name: str) -> Scenario:
    """A world in which schedules vary, and seeds are paired, as in recorded runs."""
    rows = load_results(CURVES / name).reports
    rows = rows[rows["comparable"]]
    table = rows.pivot_table(index="seed", columns="configuration", values="fid").dropna(axis=1)
    family = rows.drop_duplicates("configuration").set_index("configuration")["family"]
    first = {"vanilla": VANILLA, "sigmoid": DEFAULT}
    order = sorted(table.columns, key=lambda c: (first.pop(family[c], 2), c))
    fids = table[order].to_numpy()
    return Scenario(
        f"as recorded: {name}", fids.mean(0), normal, fids.std(0, ddof=1), recorded=fids
    )


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_t(4, shape) / math.sqrt(2)


def rare(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal noise, and now and then a run that goes wrong."""
    own = rng.standard_normal(shape) + np.where(rng.random(shape) < 0.05, 8, 0)
    return own - 0.4


def skew(sigma: float) -> Callable[[np.random.Generator, tuple[int, ...]], Array]:
    """Lognormal noise, as of a FID that varies by so much of itself."""
    mean, sd = math.exp(sigma**2 / 2), math.exp(sigma**2 / 2) * math.sqrt(math.expm1(sigma**2))

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return (rng.lognormal(0, sigma, shape) - mean) / sd

    return draw


def simulate(
    scenario: Scenario, rng: np.random.Generator, searches: int, top: int, seeds: int
) -> Iterator[Outcome]:
    """Search, confirm and judge, so many times."""
    searched = _ranked(scenario.draw(rng, searches, 3))
    confirmed = scenario.draw(rng, searches, seeds)
    fails = rng.random(confirmed.shape) < scenario.failing
    # where several arms are the best, one is taken for it
    truths = scenario.means + 1e-9 * rng.random((searches, len(scenario.means)))
    for order, fids, failed, truth in zip(searched, confirmed, fails, truths, strict=True):
        arms = sorted({VANILLA, DEFAULT, *map(int, order[:top])})
        yield _score(scenario.means, truth, fids, _confirm(arms, fids, failed))


def _ranked(fids: Array) -> NDArray[np.int64]:
    """Schedules by their mean after a race: the best third gets a second run, then a third."""
    score = fids[:, 0].copy()
    for runs, share in ((2, 3), (3, 9)):
        best = np.argsort(score, axis=1)[:, : score.shape[1] // share]
        means = fids[:, :runs].mean(axis=1)
        np.put_along_axis(score, best, np.take_along_axis(means, best, 1), 1)
    return np.argsort(score, axis=1)


def _confirm(
    arms: list[int],
    fids: Array,
    failed: NDArray[np.bool_],
    level: float = LEVEL,
    out: Collection[int] = (),
    anytime: bool = False,
) -> Confirmed:
    """Run round by round, without the arms that failed or are clearly out."""
    seeds = len(fids)
    seen: dict[int, dict[int, float]] = {arm: {} for arm in arms}
    out = set(out)
    broken: set[int] = set()
    saved = 0
    for seed in range(seeds):
        for arm in (arm for arm in arms if arm not in out):
            if not failed[seed, arm]:
                seen[arm][seed] = float(fids[seed, arm])
            elif arm != VANILLA:
                broken.add(arm)
        out |= broken
        still = {arm: seen[arm] for arm in arms if arm not in out}
        dropped = clearly_out(still, VANILLA, seeds, len(arms), level, anytime)
        saved += len(dropped) * (seeds - 1 - seed)
        out |= dropped.keys()
    return Confirmed(arms, seen, out, broken, saved)


def _score(
    means: Array,
    truth: Array,
    fids: Array,
    run: Confirmed,
    level: float = LEVEL,
    anytime: bool = False,
) -> Outcome:
    """Judge, and compare with the truth."""
    judgement = judge(run.seen, VANILLA, len(fids), run.out, level, anytime=anytime)
    gaps = {arm: float(means[arm] - means[VANILLA]) for arm in run.arms}
    ends = {
        arm: (found.low, found.high)
        for arm, found in judgement.differences.items()
        if found.low is not None and found.high is not None
    }
    beats = [arm for arm, (_, high) in ends.items() if arm not in run.out and high < 0]
    sound = [arm for arm in run.arms if arm not in run.broken]
    better = [arm for arm in sound if gaps[arm] < 0]
    best = min(sound, key=lambda arm: truth[arm])
    tied = [arm for arm in beats if arm in judgement.tied]
    choice = min(tied or beats, key=lambda arm: _mean(run.seen[arm]), default=VANILLA)
    lowest = min(sound, key=lambda arm: fids[:, arm].mean())
    return Outcome(
        false_beats=any(gaps[arm] >= 0 for arm in beats),
        best_lost=best not in judgement.tied,
        missed=any(not low <= gaps[arm] <= high for arm, (low, high) in ends.items()),
        better=len(better),
        found=len(set(better) & set(beats)),
        tied=len(judgement.tied),
        saved=run.saved / (len(fids) * len(run.arms)),
        regret=float(means[choice] - means[best]),
        regret_lowest=float(means[lowest] - means[best]),
        harm=gaps[choice] > 0,
        harm_lowest=gaps[lowest] > 0,
    )


def _mean(fids: dict[int, float]) -> float:
    return math.fsum(fids.values()) / len(fids)


COLUMNS = (
    "scenario",
    "false beats, %",
    "best not tied, %",
    "interval misses, %",
    "better ones found, %",
    "at least one, %",
    "tied",
    "runs saved, %",
    "regret",
    "of the lowest mean",
    "harm, %",
    "of the lowest mean, %",
)


def show(title: str, lines: list[tuple[str, list[Outcome]]]) -> None:
    print(f"\n### {title}\n")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for name, outcomes in lines:
        print(f"| {name} | " + " | ".join(_cells(outcomes)) + " |", flush=True)


def _cells(outcomes: list[Outcome]) -> Iterator[str]:
    for errors in ("false_beats", "best_lost", "missed"):
        yield rate([getattr(outcome, errors) for outcome in outcomes])
    some = [outcome for outcome in outcomes if outcome.better]
    found, better = sum(o.found for o in some), sum(o.better for o in some)
    yield f"{100 * found / better:.0f}" if some else ""
    yield f"{100 * np.mean([o.found > 0 for o in some]):.0f}" if some else ""
    yield f"{np.mean([o.tied for o in outcomes]):.1f}"
    yield f"{100 * np.mean([o.saved for o in outcomes]):.1f}"
    yield f"{np.mean([o.regret for o in outcomes]):.2f}"
    yield f"{np.mean([o.regret_lowest for o in outcomes]):.2f}"
    yield f"{100 * np.mean([o.harm for o in outcomes]):.1f}"
    yield f"{100 * np.mean([o.harm_lowest for o in outcomes]):.1f}"


def _looks(
    scenario: Scenario, way: str, rng: np.random.Generator, searches: int
) -> Iterator[list[Outcome]]:
    """Yield what each look says of a search: after every confirmation, or after every seed.

    Whoever confirms once more keeps the arms that are not out. ``alone``: each confirmation is
    judged by itself at 95 %; ``pooled``: as the verdict does it; ``anytime``: after every seed.
    """
    searched = _ranked(scenario.draw(rng, searches, 3))
    drawn = scenario.draw(rng, searches, ROUNDS * SEEDS)
    truths = scenario.means + 1e-9 * rng.random((searches, len(scenario.means)))
    for order, fids, truth in zip(searched, drawn, truths, strict=True):
        arms = sorted({VANILLA, DEFAULT, *map(int, order[:SEEDS])})
        fine = np.zeros((SEEDS, len(truth)), dtype=bool)
        found, seen, out = [], {arm: dict[int, float]() for arm in arms}, set[int]()
        for look in range(ROUNDS):
            level = {"alone": 0.95, "pooled": level_of(look + 1)}.get(way, LEVEL)
            block = fids[SEEDS * look : SEEDS * (look + 1)]
            if way == "alone":
                run = _confirm(arms, block, fine, level)
                found.append(_score(scenario.means, truth, block, run, level))
                continue
            run = _confirm(arms, block, fine, level, out, way == "anytime")
            for seed in range(SEEDS):
                for arm, own in run.seen.items():
                    if seed in own:
                        seen[arm][SEEDS * look + seed] = own[seed]
                if way == "anytime" or seed == SEEDS - 1:
                    so_far = {arm: dict(own) for arm, own in seen.items()}
                    gone = {
                        arm for arm in run.out if seed == SEEDS - 1 or seed not in run.seen[arm]
                    }
                    told = Confirmed(arms, so_far, out | gone, set(), 0)
                    upto = fids[: SEEDS * look + seed + 1]
                    found.append(
                        _score(scenario.means, truth, upto, told, level, way == "anytime")
                    )
            out |= run.out
        yield found


def show_looks(searches: int, seed: int) -> None:
    """Print how often one of several looks errs, and what they find."""
    head = [
        "scenario",
        "confirmations",
        "false beats, %",
        "best not tied, %",
        "interval misses, %",
    ]
    head += [f"better ones found after {SEEDS * (look + 1)}, %" for look in range(ROUNDS)]
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for scenario in scenarios():
        for way in ("alone", "pooled", "anytime"):
            every = list(_looks(scenario, way, np.random.default_rng(seed), searches))
            cells = [
                rate([any(getattr(look, error) for look in looks) for looks in every], 0.05)
                for error in ("false_beats", "best_lost", "missed")
            ]
            for last in range(len(every[0]) // ROUNDS - 1, len(every[0]), len(every[0]) // ROUNDS):
                better = sum(looks[last].better for looks in every)
                found = sum(looks[last].found for looks in every)
                cells.append(f"{100 * found / better:.0f}" if better else "")
            print(f"| {scenario.name} | {way} | {' | '.join(cells)} |", flush=True)


def show_worst(tables: list[tuple[int, int, list[tuple[str, list[Outcome]]]]]) -> None:
    print("\n### the worst scenario of each\n")
    print("| top | seeds | false beats, % | best not tied, % | interval misses, % |")
    print("|---|---|---|---|---|")
    for top, seeds, lines in tables:
        cells = []
        for what in ("false_beats", "best_lost", "missed"):
            name, errors = max(
                ((name, [getattr(o, what) for o in outcomes]) for name, outcomes in lines),
                key=lambda line: np.mean(line[1]),
            )
            cells.append(f"{rate(errors)}: {name}")
        print(f"| {top} | {seeds} | " + " | ".join(cells) + " |")


def rate(errors: list[bool], allowed: float = 1 - LEVEL) -> str:
    """A share in percent with its binomial error; bold if it is above what is stated."""
    share = float(np.mean(errors))
    error = math.sqrt(share * (1 - share) / len(errors))
    text = f"{100 * share:.1f} ± {100 * error:.1f}"
    return f"**{text}**" if share - 2 * error > allowed else text


def _ranks() -> NDArray[np.int64]:
    """True ranks of the schedules: vanilla is the 15th best and the default the 10th."""
    return np.array([14, 9, *(rank for rank in range(SCHEDULES) if rank not in (14, 9))])


def _best(means: Array) -> int:
    return int(np.argmin(means))


def _with(means: Array, changes: dict[int, float]) -> Array:
    changed = means.copy()
    changed[list(changes)] = list(changes.values())
    return changed


if __name__ == "__main__":
    main()
