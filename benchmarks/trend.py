"""Does what is said of the trend over budgets hold? Thousands of simulated ladders tell.

In each the difference of a schedule from vanilla follows a known curve over the budgets, with or
without a crossing, and is measured on a few paired seeds. Errors of what is claimed and the
coverage of the crossing's interval are counted; then how often the claim errs that the choice
between vanilla and two such schedules changes with the budget, or does not.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from mollitune.analysis.confirmation.choice import choice
from mollitune.analysis.confirmation.trend import trend

BUDGETS = (300, 600, 1200, 2400, 4800)
Curve = Callable[[float], float]


def crossing(rng: np.random.Generator) -> Curve:
    """Worse at first, better later: as on CIFAR-10, at a budget anywhere within the ladder."""
    at = math.exp(rng.uniform(math.log(400), math.log(3600)))
    size, width = rng.uniform(4, 15), rng.uniform(0.7, 2.0)
    return lambda b: -size * math.tanh(math.log(b / at) / width)


def saturating(rng: np.random.Generator) -> Curve:
    """A loss that shrinks as a power of the budget, towards a gain: steep first, then flat."""
    at = math.exp(rng.uniform(math.log(400), math.log(3600)))
    size, power = rng.uniform(3, 12), rng.uniform(0.4, 1.3)
    return lambda b: size * ((at / b) ** power - 1)


def late(rng: np.random.Generator) -> Curve:
    """A loss that shrinks and never turns."""
    size, width = rng.uniform(3, 12), rng.uniform(0.5, 2)
    return lambda b: size * math.exp(-width * math.log(b / 300))


def nothing(rng: np.random.Generator) -> Curve:
    """No effect at any budget."""
    return lambda b: 0.0


def always(rng: np.random.Generator) -> Curve:
    """A gain at all budgets."""
    size = rng.uniform(2, 10)
    return lambda b: -size * (1 + 0.1 * math.log(b / 300))


WORLDS = {w.__name__: w for w in (crossing, saturating, late, nothing, always)}


def ladder(
    world: Callable[[np.random.Generator], Curve], seeds: int, seed: int
) -> tuple[str, bool, bool | None]:
    """Simulate one.

    Returns:
        What was claimed, whether that is wrong, and whether the interval of the crossing holds.
    """
    rng = np.random.default_rng(seed)
    curve, spread = world(rng), spreads(rng)
    found = trend({b: (curve(b) + rng.normal(0, spread[b], seeds)).tolist() for b in BUDGETS})
    signs = [math.copysign(1, curve(b)) if curve(b) else 0.0 for b in BUDGETS]
    truth = {
        "starts": signs[0] > 0 > signs[-1],
        "stops": signs[0] < 0 < signs[-1],
        "pays": max(signs) < 0,
        "costs": min(signs) > 0,
        "open": True,
    }
    wrong = not truth[found.kind]
    # also what is said of single budgets while the whole is open
    wrong |= any(r.sign and r.sign != s for r, s in zip(found.rungs, signs, strict=True))
    if found.crossing is None or wrong:
        return found.kind, wrong, None
    places = np.geomspace(BUDGETS[0], BUDGETS[-1], 4000)
    true = next(p for p, q in pairwise(places) if curve(p) * curve(q) <= 0)
    return found.kind, wrong, bool(found.crossing.low <= true <= found.crossing.high)


def spreads(rng: np.random.Generator) -> dict[int, float]:
    """How much differences spread between seeds, by budget.

    FIDs of short trainings are higher and spread more, and no budget does exactly as it should.
    """
    noise, off = rng.uniform(1, 4), np.exp(rng.normal(0, 0.3, len(BUDGETS)))
    return {b: noise * (1 + 450 / b) * own for b, own in zip(BUDGETS, off, strict=True)}


def chosen(
    world: Callable[[np.random.Generator], Curve], seeds: int, seed: int
) -> tuple[str, bool]:
    """Simulate vanilla and two schedules of a world.

    Returns:
        What is said of the choice, and whether that is wrong.
    """
    rng = np.random.default_rng(seed)
    curves = {"vanilla": lambda b: 0.0, "a": world(rng), "b": world(rng)}
    spread = spreads(rng)
    values, best = {}, {}
    for b in BUDGETS:
        means = {name: curve(b) for name, curve in curves.items()}
        best[b] = {name for name in means if means[name] == min(means.values())}
        # what a seed does to all arms cancels; what it does to one of two makes their spread
        own = {
            name: mean + rng.normal(0, spread[b] / 2**0.5, seeds) for name, mean in means.items()
        }
        values[b] = {name: dict(enumerate(fids.tolist())) for name, fids in own.items()}
    found = choice(values)
    if found.change is not None:
        return found.kind, bool(best[found.change[0]] & best[found.change[1]])
    return found.kind, found.kind == "same" and any(found.tied[b] != best[b] for b in BUDGETS)


def choices(searches: int, seeds: int) -> Iterator[str]:
    """Yield a Markdown table of what is said of the choice."""
    yield f"| two schedules, {seeds} seeds | it changes | the same wins | wrong |"
    yield "|---|---|---|---|"
    for name, world in WORLDS.items():
        kinds, wrong = zip(*(chosen(world, seeds, s) for s in range(searches)), strict=True)
        shares = (np.mean([kind == own for kind in kinds]) for own in ("changes", "same"))
        yield f"| {name} | {' | '.join(f'{s:.0%}' for s in shares)} | {np.mean(wrong):.1%} |"


def rows(searches: int, seeds: int) -> Iterator[str]:
    """Yield a Markdown table."""
    yield f"| world, {seeds} seeds | a trend is claimed | wrong | interval of the crossing holds |"
    yield "|---|---|---|---|"
    for name, world in WORLDS.items():
        found = [ladder(world, seeds, seed) for seed in range(searches)]
        claimed = np.mean([kind != "open" for kind, _, _ in found])
        wrong = np.mean([wrong for _, wrong, _ in found])
        held = [holds for _, _, holds in found if holds is not None]
        shown = f"{np.mean(held):.1%} of {len(held):,}" if len(held) > searches / 20 else ""
        yield f"| {name} | {claimed:.0%} | {wrong:.1%} | {shown} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=2000, help="ladders per world")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 8])
    options = parser.parse_args()
    for seeds in options.seeds:
        for table in (rows, choices):
            print("\n".join(table(options.searches, seeds)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
