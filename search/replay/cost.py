"""What a search will cost: its own policy, run on invented results."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mollitune.schedules import Schedule
from mollitune.search.config import SearchConfig
from mollitune.search.policy.comparability import Comparability
from mollitune.search.policy.proposer import Proposal, Proposer
from mollitune.search.policy.source import Source
from mollitune.search.policy.stopping import Observation, Run, Stopping
from mollitune.search.training.spec import TrialSpec, cooldown_steps

REPETITIONS = 20
SIMULATED = 400
"""Most runs of a search that are simulated; the rest is taken to go on like their later half."""


@dataclass(frozen=True)
class Cost:
    """Training steps of a search.

    Arguments:
        full: If nothing is stopped.
        expected: With early stopping and probes, the mean over invented results.
        low: Least of these.
        high: Most of these.
        configurations: Schedules that are tried, the mean; the other runs are further seeds.
    """

    full: int
    expected: int
    low: int
    high: int
    configurations: int


def plan_cost(config: SearchConfig, arms: Sequence[tuple[str, Schedule]], source: Source) -> Cost:
    """Estimate the cost of a search.

    Its own early stopping and race run on schedules of its own space. What is invented are the
    FIDs: drawn at random, so that every schedule is as likely to be stopped as any other. Random
    draws also stand in for the sampler.

    Of a large search only the first `SIMULATED` runs are simulated. By then the rungs are full
    and seeds are repeated at their final pace, so the rest is scaled up from the later half of
    them; the least and the most are then too far apart rather than too close.

    Args:
        config: The search.
        arms: Model and schedule of each run that comes first.
        source: Where the other schedules come from.
    """
    costs, configurations = [], []
    turns = Counter(config.model[i % len(config.model)].name for i in range(config.trials))
    full = sum(count * config.steps_of(name) for name, count in turns.items())
    pool = source.candidates(random.Random(config.seed))
    for repetition in range(REPETITIONS):
        cost, tried = _one_search(_Simulation(config, arms, pool, repetition), full, config.trials)
        costs.append(cost)
        configurations.append(tried)
    return Cost(
        full=full,
        expected=round(statistics.mean(costs)),
        low=round(min(costs)),
        high=round(max(costs)),
        configurations=round(statistics.mean(configurations)),
    )


def _one_search(simulation: _Simulation, full: int, trials: int) -> tuple[float, float]:
    """Return steps and configurations of one invented search, see `plan_cost`."""
    runs = min(trials, SIMULATED)
    before = _Counts(0, 0, 0)
    for number in range(runs):
        if number == runs // 2:
            before = simulation.counts
        simulation.run()
    counts = simulation.counts
    if runs == trials:
        return counts.used, counts.configurations
    pace = (counts.used - before.used) / (counts.full - before.full)
    news = (counts.configurations - before.configurations) / (runs - runs // 2)
    return (
        counts.used + (full - counts.full) * pace,
        counts.configurations + (trials - runs) * news,
    )


class _Counts(NamedTuple):
    """Steps that were used, steps without stopping, and configurations, so far."""

    used: int
    full: int
    configurations: int


class _Draws:
    """Draws from a pool again and again; that a curve may come twice changes no cost."""

    def __init__(self, pool: Sequence[Schedule], seed: int) -> None:
        self._pool = pool
        self._rng = random.Random(seed)

    def tried(self, configuration: int, schedule: Schedule) -> None:
        """Learn nothing."""

    def ask(self, configuration: int) -> Schedule:
        """Draw the next schedule."""
        return self._rng.choice(self._pool)

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Learn nothing."""


class _Simulation:
    def __init__(
        self,
        config: SearchConfig,
        arms: Sequence[tuple[str, Schedule]],
        pool: Sequence[Schedule],
        seed: int,
    ) -> None:
        self._config = config
        stopping = config.stopping
        self._rng = random.Random(seed)
        self._stopping = Stopping(
            stopping.rule,
            stopping.marks,
            stopping.reduction_factor,
            stopping.min_competitors,
            stopping.audit,
            seed,
        )
        self._proposer = Proposer(
            arms,
            {entry.name: _Draws(pool, seed) for entry in config.model},
            config.seed,
            stopping.reduction_factor if stopping.races else None,
            stopping.max_seeds,
            expect=lambda schedules, values, seeds: [sum(v) / len(v) for v in values],
        )
        self.counts = _Counts(0, 0, 0)

    def run(self) -> None:
        """Make one run and count its training steps."""
        proposal = self._proposer.next()
        self._proposer.started(proposal)
        spec = self._spec(proposal)
        used, probed = 0, 0
        for step in spec.evaluation_steps():
            used = step
            if step in spec.probe_steps():
                probed += cooldown_steps(step, spec.probe_extra)
            decision = self._stopping.judge(proposal.run, self._invent(proposal, step, spec))
            if decision is not None and decision.action == "stop":
                break
        outcome = "completed" if used == spec.steps else "stopped"
        self._proposer.ended(proposal.run.trial, outcome, 1 + self._rng.random(), used)
        before = self.counts
        self.counts = _Counts(
            before.used + used + probed,
            before.full + spec.steps,
            before.configurations + (proposal.run.repeat == 0),
        )

    def _spec(self, proposal: Proposal) -> TrialSpec:
        stopping = self._config.stopping
        return TrialSpec(
            proposal.run.model,
            proposal.schedule,
            proposal.seed,
            self._config.steps_of(proposal.run.model),
            every=self._config.fid.every,
            probe_at=stopping.probe_at,
            probe_extra=stopping.probe_extra,
        )

    def _invent(self, proposal: Proposal, step: int, spec: TrialSpec) -> Observation:
        progress = step / spec.steps
        phase = "mollified" if proposal.schedule.mollified(progress) else "clean"
        fid = 1 + self._rng.random()
        like = Comparability(proposal.run.model, step)
        return Observation(step, progress, phase, fid, fid, like)
