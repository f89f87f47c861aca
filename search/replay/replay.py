"""Replays a policy on recorded curves: hours of training in a fraction of a second."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from mollitune.schedules import Schedule
from mollitune.search.policy.comparability import Comparability, age_of
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.earlier import Earlier
from mollitune.search.policy.hyperspace import NOTHING, Hyperspace
from mollitune.search.policy.proposer import Proposal, Proposer
from mollitune.search.policy.samplers import Build
from mollitune.search.policy.source import PoolSource, first_tried
from mollitune.search.policy.stopping import Observation, Stopping
from mollitune.search.policy.surrogate import expected_fid


@dataclass(frozen=True)
class Point:
    """A recorded evaluation.

    Arguments:
        step: Training steps.
        progress: Share of the training that was done.
        phase: ``mollified`` or ``clean``.
        fid: FID.
        probe_fid: FID after a cooldown branch, if one was recorded.
        probe_steps: Steps of that branch.
    """

    step: int
    progress: float
    phase: str
    fid: float
    probe_fid: float | None = None
    probe_steps: int = 0


@dataclass(frozen=True)
class Recording:
    """Recorded runs of one model.

    Arguments:
        model: Its name.
        configurations: The pool.
        curves: For each configuration its runs, one per seed, each a list of evaluations.
        truth: For each configuration the FIDs that judge its recommendation.
        held_out: Whether those are of seeds that no policy sees.
        hyperspace: The hyperparameters that were searched.
        vanilla_share: Share of the new configurations that a search gives to vanilla.
        metric: What the values are of: FID, or what else the search minimises.
    """

    model: str
    configurations: tuple[Configuration, ...]
    curves: tuple[tuple[tuple[Point, ...], ...], ...]
    truth: tuple[tuple[float, ...], ...]
    held_out: bool = True
    hyperspace: Hyperspace = NOTHING
    vanilla_share: float = 1 / 3
    metric: str = "FID"

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The schedules of the pool."""
        return tuple(configuration.schedule for configuration in self.configurations)

    @property
    def arms(self) -> list[Configuration]:
        """Vanilla and the families' defaults at the head of the pool, as a search tries them."""
        families = [schedule.family for schedule in self.schedules]
        # the head ends where a family comes again: that is a sampler's choice
        head = next((i for i, f in enumerate(families) if f in families[:i]), len(families))
        known = {id(c.schedule): c for c in self.configurations[:head]}
        return [known[id(schedule)] for schedule in first_tried(self.schedules[:head])]

    @property
    def caveat(self) -> str:
        """What the regrets of a replay are worth, in words."""
        seeds = len(self.truth[0])
        if self.held_out:
            return f"regret in {self.metric}, judged by {seeds} seed(s) that no policy has seen"
        return (
            f"regret in {self.metric}, judged by the same runs that the policies see, which "
            "flatters all of them; confirm the search on fresh seeds and replay again"
        )

    @property
    def values(self) -> list[float]:
        """Mean over the FIDs that judge, for each schedule."""
        return [math.fsum(fids) / len(fids) for fids in self.truth]

    @property
    def seeds(self) -> int:
        """Recorded runs of each schedule."""
        return min(len(runs) for runs in self.curves)


@dataclass(frozen=True)
class Policy:
    """A policy in full.

    Arguments:
        name: How it is called in a table.
        sampler: Builds the sampler from a source and a seed.
        rule: Name of the stopping rule inside a run, or ``module:Class``.
        marks: Progress of its rungs.
        eta: Reduction factor, of rungs and of the race.
        least: Fewer values on a rung stop nobody.
        seeds: Most runs of one configuration; 1: no race.
        arms: How many of vanilla and the families' defaults come first.
        earlier: What earlier searches have shown, where the sampler knows it, too.
    """

    name: str
    sampler: Build
    rule: str = "none"
    marks: tuple[float, ...] = ()
    eta: float = 3.0
    least: int = 3
    seeds: int = 1
    arms: int = 0
    earlier: tuple[Earlier, ...] = ()


@dataclass(frozen=True)
class ReplayOutcome:
    """What a replay came to.

    Arguments:
        chosen: Index in the pool of the recommended configuration.
        lowest: Index of the one with the lowest single FID.
        cost: Training steps that were used, in complete runs.
        configurations: Configurations that were tried.
        runs: Runs that were started.
        stopped: Runs that were stopped early.
    """

    chosen: int
    lowest: int
    cost: float
    configurations: int
    runs: int
    stopped: int


def replay(recording: Recording, policy: Policy, budget: float, seed: int) -> ReplayOutcome:
    """Run a policy on recorded curves with one worker until its budget is used up.

    The order of the pool and of the recorded seeds is drawn anew for each ``seed``.

    Args:
        recording: The curves.
        policy: What decides.
        budget: Training steps that may be used, in complete runs; the run that reaches it is the
            last one.
        seed: Seed of the order and of the sampler.
    """
    player = _Player(recording, policy, seed)
    while player.used < budget and not player.exhausted:
        player.play()
    return player.outcome()


class _Player:
    def __init__(self, recording: Recording, policy: Policy, seed: int) -> None:
        rng = random.Random(seed)
        pool, space = recording.configurations, recording.hyperspace
        order = rng.sample(range(len(pool)), len(pool))
        self._recording = recording
        self._earlier = policy.earlier
        self._source = PoolSource([pool[i] for i in order], space)
        # as in a search, all first runs share a seed, all second ones another
        self._drawn = rng.sample(range(recording.seeds), recording.seeds)
        self._proposer = Proposer(
            arms=[(recording.model, arm) for arm in recording.arms[: policy.arms]],
            samplers={recording.model: policy.sampler(self._source, seed, space)},
            seed=0,
            eta=policy.eta if policy.seeds > 1 else None,
            seeds=min(policy.seeds, recording.seeds),
            expect=lambda _, tried, fids, seeds: expected_fid(
                tried, fids, seeds, space, policy.earlier
            ),
            share={recording.model: recording.vanilla_share} if space else None,
        )
        self._stopping = Stopping(policy.rule, policy.marks, policy.eta, policy.least, 0.0, seed)
        self._runs = self._stopped = 0
        self._tried: set[int] = set()
        self._finals: dict[int, dict[int, float]] = {}
        self.used = 0.0

    @property
    def exhausted(self) -> bool:
        return len(self._source) == 0

    def play(self) -> None:
        """Make one run, to its end or until it is stopped."""
        proposal = self._proposer.next()
        self._proposer.started(proposal)
        # two families may give equal curves, so the schedule is looked up by identity
        pool = self._recording.configurations
        number = next(i for i, own in enumerate(pool) if own is proposal.configuration)
        seed = self._drawn[proposal.run.repeat]
        curve = self._recording.curves[number][seed]
        last = self._train(proposal, curve)
        self._runs += 1
        self._tried.add(number)
        if last.progress < 1:
            self._stopped += 1
            value = last.fid if last.phase == "clean" else None
            self._proposer.ended(proposal.run.trial, "stopped", value, last.step)
        else:
            self._finals.setdefault(number, {})[seed] = last.fid
            self._proposer.ended(proposal.run.trial, "completed", last.fid, last.step)

    def outcome(self) -> ReplayOutcome:
        numbers = list(self._finals)
        values = [list(runs.values()) for runs in self._finals.values()]
        seeds = [list(runs) for runs in self._finals.values()]
        tried = [self._recording.configurations[n] for n in numbers]
        worth = expected_fid(tried, values, seeds, self._recording.hyperspace, self._earlier)
        return ReplayOutcome(
            chosen=numbers[worth.index(min(worth))],
            lowest=min(numbers, key=lambda n: min(self._finals[n].values())),
            cost=self.used,
            configurations=len(self._tried),
            runs=self._runs,
            stopped=self._stopped,
        )

    def _train(self, proposal: Proposal, curve: Sequence[Point]) -> Point:
        """Walk along a curve up to where it is stopped, and count what that costs."""
        steps = curve[-1].step
        for point in curve:
            rung = self._stopping.judge(proposal.run, _evaluation(proposal, point))
            if rung is not None and self._stopping.rule.probes:
                self.used += point.probe_steps / steps
            if rung is not None and rung.action == "stop":
                break
        self.used += point.step / steps
        return point


def _evaluation(proposal: Proposal, point: Point) -> Observation:
    like = Comparability(proposal.run.model, age_of(point.progress))
    return Observation(point.step, point.progress, point.phase, point.fid, point.probe_fid, like)
