"""Random draws and the process over shapes, on a landscape that shapes decide."""

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from tests.search.policy.worlds import completed, plain, taken

from mollitune.schedules import (
    SAME_CURVE,
    Linear,
    Schedule,
    curve_distance,
    families,
    shape_features,
)
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.samplers import STARTUP, RandomSampler, Sampler, ShapeSampler
from mollitune.search.policy.source import PoolSource, SpaceSource
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.stopping import Run

SEARCHED = [name for name in families() if name not in ("vanilla", "blur")]


def source() -> SpaceSource:
    return SpaceSource({name: FamilySpace(name) for name in SEARCHED}, 8)


NO_DRAW = random.Random(0)  # a pool draws nothing


def landscape(schedule: Schedule) -> float:
    """FID with one basin: mollified for .7 of the training, with an area of .25."""
    shape = shape_features(schedule)
    share, area = 1 - shape["clean_share"], shape["area"]
    return 20 * math.exp(4 * (share - 0.7) ** 2 + 20 * (area - 0.25) ** 2)


def search(sampler: Sampler, count: int, noise: float = 0.0, seed: int = 0) -> list[Configuration]:
    """Make complete runs one after the other."""
    rng = np.random.default_rng(seed)
    tried = []
    for configuration in range(count):
        tried.append(taken(sampler, configuration))
        fid = landscape(tried[-1].schedule) * math.exp(noise * rng.normal())
        completed(sampler, configuration, fid)
    return tried


BUILDS: list[Callable[[SpaceSource, int], Sampler]] = [RandomSampler, ShapeSampler]


@pytest.mark.parametrize("make", BUILDS)
def test_one_seed_gives_one_sequence_and_another_seed_another(
    make: Callable[[SpaceSource, int], Sampler],
) -> None:
    first = search(make(source(), 4), STARTUP + 4)
    assert search(make(source(), 4), STARTUP + 4) == first
    other = search(make(source(), 5), STARTUP + 4)
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_what_did_not_complete_does_not_end_the_startup() -> None:
    shape, chance = ShapeSampler(source(), 7), RandomSampler(source(), 7)
    for configuration in range(STARTUP):
        assert taken(shape, configuration) == taken(chance, configuration)
        outcome = ("stopped", "failed")[configuration % 2]
        shape.tell(Run(configuration, configuration, "vae"), outcome, 5.0, 40)
    assert shape.ask(STARTUP) == chance.ask(STARTUP)


def test_the_basin_is_found_better_than_by_chance() -> None:
    """At equal budget, from one pool, over fixed seeds; values are noisy as with a VAE."""
    seeds, budget = range(4), 13
    best: dict[str, list[float]] = {"shape": [], "random": []}
    late: dict[str, list[float]] = {"shape": [], "random": []}
    for seed in seeds:
        drawn = list(source().candidates(random.Random(seed)))[:80]
        lowest = min(landscape(c.schedule) for c in drawn)
        for name, make in (("shape", ShapeSampler), ("random", RandomSampler)):
            tried = search(make(PoolSource(drawn), seed), budget, 0.05, seed)
            above = [landscape(c.schedule) - lowest for c in tried]
            best[name].append(min(above))
            late[name].append(float(np.mean(above[STARTUP + 2 :])))
    # once it knows something, it looks where FID is low, in each of the 4 searches
    assert all(s < r for s, r in zip(late["shape"], late["random"], strict=True))
    assert np.mean(best["shape"]) < 0.5 * np.mean(best["random"])


# A pool of linear schedules with a basin at .5: what the others do moves the next choice.

GRID = plain(*(Linear(until=k / 40) for k in range(4, 39)))


def until_of(configuration: Configuration) -> float:
    return configuration.schedule.until


def told(
    beliefs: dict[float, str] | None = None, step: int = 8
) -> tuple[ShapeSampler, list[Configuration]]:
    """A sampler that knows every ``step``-th of the grid, and of others what became of them."""
    pool = PoolSource(GRID)
    sampler = ShapeSampler(pool, 0, startup=1)
    known = [*GRID[::step], GRID[1], GRID[33], GRID[14]]
    for number, configuration in enumerate(known):
        sampler.tried(number, configuration)
        completed(sampler, number, 20 * math.exp(4 * (until_of(configuration) - 0.5) ** 2))
    for number, (until, end) in enumerate((beliefs or {}).items(), start=len(known)):
        (configuration,) = [c for c in pool.candidates(NO_DRAW) if until_of(c) == until]
        sampler.tried(number, configuration)
        if end != "running":
            sampler.tell(Run(number, number, "vae"), end, None, 40)
    return sampler, list(pool.candidates(NO_DRAW))


def incumbent(sampler: ShapeSampler) -> float:
    """What is expected of the best that is complete."""
    _, _, fids = sampler._surrogate()
    return min(fids)


def expected_gain(sampler: ShapeSampler, configurations: list[Configuration]) -> np.ndarray:
    sampler.ask(99)
    choice = sampler._choices[False]
    gains = dict(zip(map(id, choice._candidates), choice.gain, strict=True))
    return np.array([gains[id(configuration)] for configuration in configurations])


def test_an_ask_changes_nothing() -> None:
    sampler, _ = told()
    assert sampler.ask(50) is sampler.ask(50)
    fresh = ShapeSampler(source(), 3)
    assert fresh.ask(0) == fresh.ask(0) != fresh.ask(1)


def test_the_next_is_where_most_is_to_be_gained() -> None:
    sampler, left = told()
    gain = expected_gain(sampler, left)
    assert sampler.ask(50) is left[int(np.argmax(gain))]
    assert abs(until_of(left[int(np.argmax(gain))]) - 0.5) < 0.15


@pytest.mark.parametrize("end", ["running", "stopped", "failed"])
def test_open_and_lost_runs_repel(end: str) -> None:
    sampler, _ = told()
    target = sampler.ask(50)
    without, left = told()
    around = [c for c in left if 0 < abs(until_of(c) - until_of(target)) < 0.06]
    assert len(around) >= 2
    repelled, _ = told({until_of(target): end})
    assert (expected_gain(repelled, around) < expected_gain(without, around)).all()
    assert repelled.ask(51) is not target


def test_a_lost_run_repels_more_than_an_open_one() -> None:
    sampler, left = told()
    target = sampler.ask(50)
    near = [c for c in left if 0 < abs(until_of(c) - until_of(target)) < 0.06]
    gains = {
        end: expected_gain(told({until_of(target): end})[0], near) for end in ("running", "failed")
    }
    assert gains["failed"].sum() < 0.9 * gains["running"].sum()


def test_open_and_lost_runs_are_never_the_best() -> None:
    """The incumbent is a complete run's belief, whatever is believed of the others."""
    best = incumbent(told()[0])
    for end in ("running", "stopped", "failed"):
        sampler, _ = told({0.525: end, 0.475: end})
        assert incumbent(sampler) == best


def test_the_value_of_a_stopped_run_does_not_count() -> None:
    sampler, left = told()
    sampler.tried(60, left[3])
    sampler.tell(Run(60, 60, "vae"), "stopped", 0.001, 40)
    other, _ = told()
    other.tried(60, left[3])
    other.tell(Run(60, 60, "vae"), "stopped", None, 0)
    assert sampler.ask(61) is other.ask(61)


def test_a_repeat_that_fails_leaves_the_first_value() -> None:
    sampler, left = told()
    gain = expected_gain(sampler, left)
    sampler.tell(Run(70, 0, "vae", 1), "failed", None, 40)
    assert (expected_gain(sampler, left) == gain).all()


def test_repeats_count_with_their_seed() -> None:
    sampler, left = told()
    gain = expected_gain(sampler, left)
    completed(sampler, len(GRID[::8]) + 2, 30.0, repeat=1)  # the incumbent, 20 with its first seed
    assert incumbent(sampler) > 20
    assert (expected_gain(sampler, left) != gain).any()


def test_between_two_results_several_are_chosen_apart_and_the_same_when_resumed() -> None:
    """Whoever resumes tells everything once more, and asks for what comes next only."""

    def before() -> ShapeSampler:
        sampler = ShapeSampler(source(), 3)
        search(sampler, 12)
        return sampler

    sampler, chosen = before(), list[Configuration]()
    for number in range(12, 18):
        chosen.append(sampler.ask(number))
        sampler.tried(number, chosen[-1])
        again = before()
        for place, configuration in enumerate(chosen, start=12):
            again.tried(place, configuration)
        assert again.ask(number + 1) == sampler.ask(number + 1)
    each = [(one, other) for i, one in enumerate(chosen) for other in chosen[:i]]
    assert min(curve_distance(a.schedule, b.schedule) for a, b in each) > SAME_CURVE
    untils = [c.schedule.until for c in chosen]
    assert max(untils) - min(untils) > 0.05


def test_a_pool_that_is_used_up_between_two_results_is_left_for_what_is_tried() -> None:
    sampler, found = ShapeSampler(PoolSource(GRID[:4]), 0, startup=1), list[Configuration]()
    sampler.tried(0, GRID[0])
    completed(sampler, 0, 20.0)
    for number in range(1, 4):
        found.append(sampler.ask(number))
        sampler.tried(number, found[-1])
    assert {id(c) for c in found} == {id(c) for c in GRID[1:4]}
    assert sampler.ask(4) in found
