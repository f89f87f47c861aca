"""What a search will cost: its own policy, run on invented results."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mollitune.schedules import Schedule
from mollitune.search.config import SearchConfig
from mollitune.search.cooldown import cooldown_steps
from mollitune.search.spec import TrialSpec

from .likeness import Likeness
from .proposer import Proposal, Proposer
from .source import Source
from .stopping import PROBE, Evaluation, Run, Stopping

REPETITIONS = 20


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

    Args:
        config: The search.
        arms: Model and schedule of each run that comes first.
        source: Where the other schedules come from.
    """
    costs, configurations = [], []
    pool = source.candidates()
    for repetition in range(REPETITIONS):
        simulation = _Simulation(config, arms, pool, repetition)
        costs.append(sum(simulation.run() for _ in range(config.trials)))
        configurations.append(simulation.configurations)
    return Cost(
        full=simulation.full,
        expected=round(statistics.mean(costs)),
        low=min(costs),
        high=max(costs),
        configurations=round(statistics.mean(configurations)),
    )


class _Draws:
    """Draws from a pool again and again; that a curve may come twice changes no cost."""

    def __init__(self, pool: Sequence[Schedule], seed: int) -> None:
        self._pool = pool
        self._rng = random.Random(seed)

    def arm(self, configuration: int, schedule: Schedule) -> None:
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
        self.full = 0
        self.configurations = 0

    def run(self) -> int:
        """Make one run and return its training steps."""
        proposal = self._proposer.next()
        spec = self._spec(proposal)
        self.full += spec.steps
        self.configurations += proposal.run.repeat == 0
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
        return used + probed

    def _spec(self, proposal: Proposal) -> TrialSpec:
        stopping = self._config.stopping
        return TrialSpec(
            proposal.run.model,
            proposal.schedule,
            proposal.seed,
            self._config.steps_of(proposal.run.model),
            every=self._config.fid.every,
            probe_at=stopping.marks if stopping.rule == PROBE else (),
            probe_extra=stopping.probe_extra,
        )

    def _invent(self, proposal: Proposal, step: int, spec: TrialSpec) -> Evaluation:
        progress = step / spec.steps
        phase = "mollified" if proposal.schedule.mollified(progress) else "clean"
        fid = 1 + self._rng.random()
        like = Likeness(proposal.run.model, step)
        return Evaluation(step, progress, phase, fid, fid, like)
