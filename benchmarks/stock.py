"""What one would use without Mollitune, replayed on the same curves: the three baselines.

None of them knows when training data are clean; each sees the FID that was reported, as users'
scripts do.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from types import SimpleNamespace

import optuna
from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.async_hyperband import _Bracket

from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.hyperspace import Hyperspace
from mollitune.search.policy.source import distance
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.study import parameter_key, suggest
from mollitune.search.replay.replay import Point, Recording, ReplayOutcome

REDUCTION = 4  # Ray Tune's default
GRACE = 1


def asha_with_optuna(
    recording: Recording, budget: float, seed: int, *, side: int
) -> ReplayOutcome:
    """Ray Tune's ASHAScheduler and OptunaSearch with their defaults, one worker.

    The rungs are Ray's own class. Like OptunaSearch, it tells the study the last reported FID of
    every trial as that of a complete one, and like `get_best_result` it recommends the trial
    whose last FID is the lowest.
    """
    draws = _Draws(recording, seed)
    space = recording.hyperspace
    spaces = {s.family: FamilySpace(s.family) for s in recording.schedules}
    if not space:  # with hyperparameters vanilla is a family to be tuned, like any
        spaces.pop("vanilla", None)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    points = len(recording.curves[0][0])
    bracket = _Bracket(GRACE, points, REDUCTION, 0)
    used, stopped = 0.0, 0
    runs = 0
    lowest: dict[int, float] = {}
    while used < budget:
        asked = study.ask()
        try:
            proposed = suggest(asked, spaces, side, space)
        except ValueError:
            proposed = None
        if proposed is not None:
            number, curve = draws.take(proposed)
            point = _until_stopped(bracket, asked.number, curve)
            used += point.step / curve[-1].step
            stopped += point.progress < 1
            runs += 1
            lowest[number] = min(point.fid, lowest.get(number, math.inf))
            _teach(study, recording.configurations[number], point.fid, spaces, side, space)
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
    best = min(lowest, key=lambda n: lowest[n])
    return ReplayOutcome(best, best, used, len(lowest), runs, stopped)


def _teach(
    study: optuna.Study,
    own: Configuration,
    fid: float,
    spaces: dict[str, FamilySpace],
    side: int,
    hyperspace: Hyperspace,
) -> None:
    """Tell the study of what was trained, which is only near what it proposed."""
    schedule = own.schedule
    space = spaces.get(schedule.family)
    point = None if space is None else space.point(schedule, side)
    if point is None:
        return
    keys = {parameter_key(schedule.family, name): value for name, value in point.items()}
    study.enqueue_trial({"family": schedule.family, **keys, **dict(own.settings)})
    trained = study.ask()
    suggest(trained, spaces, side, hyperspace)
    study.tell(trained, fid)


def _until_stopped(bracket: _Bracket, trial: int, curve: Sequence[Point]) -> Point:
    ray_trial = SimpleNamespace(trial_id=str(trial))
    for iteration, point in enumerate(curve, start=1):
        if bracket.on_result(ray_trial, iteration, -point.fid) == TrialScheduler.STOP:
            break
    return point


def random_search(recording: Recording, budget: float, seed: int) -> ReplayOutcome:
    """Complete runs of random schedules, one seed each; the lowest FID is recommended."""
    draws = _Draws(recording, seed)
    count = min(round(budget), len(recording.schedules))
    last = {n: draws.curve(n)[-1].fid for n in draws.order[:count]}
    best = min(last, key=lambda n: last[n])
    return ReplayOutcome(best, best, count, count, count, 0)


def first_evaluation_then_top(recording: Recording, budget: float, seed: int) -> ReplayOutcome:
    """Train everything up to the first evaluation, then only the lowest FIDs to the end.

    Half of the budget at most is for looking, at the whole pool if it is enough; as many go on as
    the rest allows.
    """
    draws = _Draws(recording, seed)
    start = draws.curve(draws.order[0])[0].progress
    curves = {n: draws.curve(n) for n in draws.order[: max(1, int(budget / 2 / start))]}
    left = budget - start * len(curves)
    top = sorted(curves, key=lambda n: curves[n][0].fid)[: max(1, round(left / (1 - start)))]
    best = min(top, key=lambda n: curves[n][-1].fid)
    cost = start * len(curves) + (1 - start) * len(top)
    return ReplayOutcome(best, best, cost, len(curves), len(curves), len(curves) - len(top))


class _Draws:
    """A random order of the pool, and one recorded seed for all, as in a user's search.

    Should the pool run out, it starts anew with the next seed.
    """

    def __init__(self, recording: Recording, seed: int) -> None:
        rng = random.Random(seed)
        count = len(recording.schedules)
        self._recording = recording
        self.order = rng.sample(range(count), count)
        self._seeds = rng.sample(range(recording.seeds), recording.seeds)
        self._fill()

    def take(self, proposed: Configuration) -> tuple[int, tuple[Point, ...]]:
        """Return number and curve of the configuration next to a proposed one."""
        if not self._left:
            self._seeds = self._seeds[1:] + self._seeds[:1]
            self._fill()
        pool, space = self._recording.configurations, self._recording.hyperspace
        number = min(self._left, key=lambda n: distance(pool[n], proposed, space))
        self._left.remove(number)
        return number, self.curve(number)

    def curve(self, number: int) -> tuple[Point, ...]:
        """Return the curve of a schedule with the present seed."""
        return self._recording.curves[number][self._seeds[0]]

    def _fill(self) -> None:
        self._left = list(self.order)
