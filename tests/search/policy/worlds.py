"""Invented runs for the tests of the policy."""

import math
from typing import Any

import pytest

from mollitune.schedules import Schedule, build
from mollitune.search.policy.comparability import Comparability, Value, age_of
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.samplers import Sampler
from mollitune.search.policy.stopping import Observation, Run, Stopping
from mollitune.search.replay.replay import Point, Recording

STEPS = 60


def about(number: float) -> Any:
    """Stand in for a float in an expected dataclass."""
    return pytest.approx(number)


def value(fid: float, model: str = "vae", step: int = 40, phase: str = "clean") -> Value:
    return Value(fid, phase, Comparability(model, age_of(step / STEPS)))


def evaluated(
    stopping: Stopping,
    run: Run,
    step: int,
    fid: float,
    until: float = 0.5,
    probe: float | None = None,
) -> Decision | None:
    """Let a run be judged whose data are mollified until a share of the training."""
    progress = step / STEPS
    phase = "mollified" if progress < until else "clean"
    like = Comparability(run.model, age_of(progress))
    return stopping.judge(run, Observation(step, progress, phase, fid, probe, like))


def judged(*args: Any, **named: Any) -> Decision:
    """As `evaluated`, at a rung."""
    decision = evaluated(*args, **named)
    assert decision is not None
    return decision


def plain(*schedules: Schedule) -> list[Configuration]:
    """Schedules as configurations without hyperparameters."""
    return [Configuration(schedule) for schedule in schedules]


def linear(count: int) -> list[Configuration]:
    """Linear schedules, mollified for longer and longer."""
    return plain(*(build("linear", until=(k + 1) / (count + 1)) for k in range(count)))


def taken(sampler: Sampler, number: int) -> Configuration:
    """Ask for a configuration and try it."""
    configuration = sampler.ask(number)
    sampler.tried(number, configuration)
    return configuration


def completed(sampler: Sampler, configuration: int, fid: float, repeat: int = 0) -> None:
    sampler.tell(Run(configuration, configuration, "vae", repeat), "completed", fid, STEPS)


def curve(fid: float, until: float = 0.5, probe: int = 0) -> list[Point]:
    """Evaluations at a third, two thirds and the end."""
    points = []
    for step in (20, 40, STEPS):
        progress = step / STEPS
        branch = (fid, probe) if probe and step < STEPS else (None, 0)
        phase = "mollified" if progress < until else "clean"
        points.append(Point(step, progress, phase, fid, *branch))
    return points


def recording(
    finals: list[list[float]],
    truth: list[float] | None = None,
    until: float = 0.5,
    probe: int = 0,
) -> Recording:
    """A pool of linear schedules; for each its FID at every step of a run, seed by seed.

    Data are mollified until ``until``; with ``probe`` a cooldown branch of as many steps is at
    each rung.
    """
    runs = [[tuple(curve(fid, until, probe)) for fid in seeds] for seeds in finals]
    judged = truth or [math.fsum(seeds) / len(seeds) for seeds in finals]
    return Recording(
        model="vae",
        configurations=tuple(linear(len(finals))),
        curves=tuple(map(tuple, runs)),
        truth=tuple((fid,) for fid in judged),
    )
