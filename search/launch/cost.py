"""What a search will cost: measured times, and its own policy run on invented results."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mollitune.schedules import Vanilla
from mollitune.search.config import SearchConfig
from mollitune.search.policy.comparability import Comparability, age_of
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.hyperspace import NOTHING
from mollitune.search.policy.ladder import Ladder
from mollitune.search.policy.proposer import Proposal, Proposer
from mollitune.search.policy.stopping import Observation, Run, Stopping
from mollitune.search.terminal import duration
from mollitune.search.training.spec import TrialSpec, cooldown_steps
from mollitune.search.tune.budget import SHARE, Costs, Plan, affordable

from .proposals import arms, shares, source

ADVISED = 1 / 3
"""Share of the time above which cheaper evaluations are advised."""
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
        configurations: Configurations that are tried, the mean; the other runs are further seeds.
    """

    full: int
    expected: int
    low: int
    high: int
    configurations: int


def describe_cost(
    config: SearchConfig, side: int, plans: Mapping[str, Plan], costs: Mapping[str, Costs]
) -> Iterator[str]:
    """Yield in lines what a search will cost: a trial of each model, the whole, and advice.

    Args:
        config: The search.
        side: Side of the images in pixels.
        plans: How each model is evaluated.
        costs: What was measured of each model.
    """
    seconds = {}
    for name, plan in plans.items():
        steps, measured = config.steps_of(name), costs[name]
        evaluation = measured.of_evaluation(plan.samples)
        whole, more = steps * measured.step + measured.of_plan(plan), plan.samples * measured.last
        last = f", the last one {_short(more)} more" if more > evaluation else ""
        yield (
            f"cost: {name} about {duration(whole)} per trial: {steps:,} steps of "
            f"{_short(measured.step)}, {plan.evaluations} evaluations of "
            f"{_short(evaluation)}{last}"
        )
        seconds[name] = whole / (plan.gain or 1) if plan.as_one else whole
        if plan.share is not None and plan.share > ADVISED:
            yield _advice(name, plan, affordable(plan, steps, SHARE, measured))
    if config.ladder is not None:
        yield _budgets(config, config.ladder)
    cost = plan_cost(config, side)
    turns = [seconds[config.model[i % len(config.model)].name] for i in range(config.trials)]
    whole = sum(turns) / min(config.workers, config.trials)
    text = f"cost: {config.trials} trials, {config.workers} at once: about {duration(whole)}"
    if cost.expected < cost.full:
        low, high = (duration(whole * steps / cost.full) for steps in (cost.low, cost.high))
        text += f" if none is stopped, {low} to {high} with early stopping"
    if cost.configurations < config.trials:
        text += (
            f"; about {cost.configurations} configurations are tried, the rest are further seeds"
        )
    yield text


def _advice(name: str, plan: Plan, better: Plan) -> str:
    """Say what would make evaluations cheaper."""
    keys = f"fid.every={better.every:.4g}" if better.every > plan.every else ""
    keys += f" fid.samples={better.samples}" if better.samples < plan.samples else ""
    text = f"hint: evaluations take {plan.share:.0%} of the time of {name}"
    if keys:
        text += f"; {keys.strip()} would make it {better.share:.0%}"
    return text


def _budgets(config: SearchConfig, ladder: Ladder) -> str:
    """Say which budgets are trained, what they count as, and which one is searched for."""
    name = config.model[0].name
    shown = ", ".join(config.length_of(name, scale) for scale in ladder.scales)
    return (
        f"budgets: {shown}; {ladder.scales[-1]:g} trials go into the longest; searched for is the "
        f"best at {config.length_of(name, ladder.target)}"
    )


def _short(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"


def plan_cost(config: SearchConfig, side: int) -> Cost:
    """Estimate the cost of a search.

    Its own early stopping and race run on schedules of its own space. What is invented are the
    FIDs: drawn at random, so that every schedule is as likely to be stopped as any other. Random
    draws also stand in for the sampler.

    Of a large search only the first `SIMULATED` runs are simulated. By then the rungs are full
    and seeds are repeated at their final pace, so the rest is scaled up from the later half of
    them; the least and the most are then too far apart rather than too close.

    Args:
        config: The search.
        side: Side of the images in pixels.
    """
    costs, configurations = [], []
    first = list(arms(config, side))
    turns = Counter(config.model[i % len(config.model)].name for i in range(config.trials))
    full = sum(count * config.steps_of(name) for name, count in turns.items())
    # hyperparameters change no cost: equally many images are trained
    pool = source(config, side, NOTHING).candidates(random.Random(config.seed))
    for repetition in range(REPETITIONS):
        cost, tried = _one_search(
            _Simulation(config, first, pool, repetition), full, config.trials
        )
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

    def __init__(self, pool: Sequence[Configuration], seed: int) -> None:
        self._pool = pool
        self._rng = random.Random(seed)

    def tried(self, number: int, configuration: Configuration) -> None:
        """Learn nothing."""

    def ask(self, number: int, vanilla: bool = False) -> Configuration:
        """Draw the next configuration."""
        # a copy, which counts as a new one
        return Configuration(Vanilla()) if vanilla else replace(self._rng.choice(self._pool))

    def started(self, run: Run) -> None:
        """Learn nothing."""

    def tell(self, run: Run, outcome: str, value: float | None, step: int) -> None:
        """Learn nothing."""


class _Simulation:
    def __init__(
        self,
        config: SearchConfig,
        arms: Sequence[tuple[str, Configuration]],
        pool: Sequence[Configuration],
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
            stopping.reduction_factor if stopping.races and config.ladder is None else None,
            stopping.max_seeds,
            expect=lambda model, tried, values, seeds: [sum(v) / len(v) for v in values],
            share=shares(config),
        )
        self._steps: dict[str, list[int]] = {}
        self.counts = _Counts(0, 0, 0)

    def run(self) -> None:
        """Make one run and count its training steps."""
        proposal = self._proposer.next()
        self._proposer.started(proposal)
        spec = self._spec(proposal)
        used, probed = 0, 0
        for step in self._decisive(spec):
            used = step
            if spec.probe_at and step < spec.steps:
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

    def _decisive(self, spec: TrialSpec) -> list[int]:
        """Steps at which a run may end, the same for all of a model: the rungs and the last."""
        if spec.model not in self._steps:
            rungs = replace(spec, probe_at=self._config.stopping.marks).probe_steps()
            self._steps[spec.model] = sorted(rungs | {spec.steps})
        return self._steps[spec.model]

    def _spec(self, proposal: Proposal) -> TrialSpec:
        stopping = self._config.stopping
        return TrialSpec(
            proposal.run.model,
            proposal.schedule,
            proposal.seed,
            self._config.steps_of(proposal.run.model),
            every=self._config.fid.every,
            final=self._config.fid.final.spec,
            probe_at=stopping.probe_at,
            probe_extra=stopping.probe_extra,
        )

    def _invent(self, proposal: Proposal, step: int, spec: TrialSpec) -> Observation:
        progress = step / spec.steps
        phase = "mollified" if proposal.schedule.mollified(progress) else "clean"
        fid = 1 + self._rng.random()
        like = Comparability(proposal.run.model, age_of(progress))
        return Observation(step, progress, phase, fid, fid, like)
