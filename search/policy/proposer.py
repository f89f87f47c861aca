"""What to run next: the arms that every search needs, promoted seeds, then new schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mollitune.schedules import Schedule

from .bound import Bound, Bounded
from .configuration import Configuration
from .decision import Decision
from .race import Promotion, Race
from .samplers import Sampler
from .stopping import Run
from .surrogate import expected_fid

_TOGETHER = 0.04
"""Results that are learned at once, as a share of those that are known."""
_BEFORE_SEEDS = 12
"""Configurations before which none gets another seed, where hyperparameters are searched."""

Expect = Callable[
    [str, Sequence[Configuration], Sequence[Sequence[float]], Sequence[Sequence[int]]],
    Sequence[float],
]
"""From a model, configurations of it, their FIDs and the seeds of these to the FID to expect of
each."""


@dataclass(frozen=True)
class Proposal:
    """The next run.

    Arguments:
        run: What the policy knows it by.
        configuration: Its schedule and hyperparameters.
        seed: Seed of its weights, batches and noise.
        decision: Why it was chosen, if it is a further run of a good configuration.
    """

    run: Run
    configuration: Configuration
    seed: int
    decision: Decision | None = None

    @property
    def schedule(self) -> Schedule:
        """How its training data are mollified."""
        return self.configuration.schedule


@dataclass(frozen=True)
class _Tried:
    model: str
    configuration: Configuration


class Proposer:
    """Proposes runs one after the other, and learns which were started and how they ended.

    A proposal changes nothing: it counts once it was `started`, here or by an earlier driver.
    With many results one more says little, and to learn takes tenths of a second: so from the
    fiftieth on they are learned together, 4 % of those before at a time.

    First come the arms. Then the models take turns, since FIDs of different models do not
    compare: a model's turn goes to a configuration of its own that deserves another seed, if
    there is one, else to what its sampler chooses. With a ``share``, so much of the new ones are
    vanilla, so that neither side is tuned more than the other.

    Arguments:
        arms: Model and configuration of each run that comes first.
        samplers: A sampler for each model; the models take turns in this order.
        seed: Seed of first runs; repeated ones count up from it.
        eta: The best 1/eta of the configurations with k runs get another; None: one run each.
        seeds: Most runs of one configuration.
        expect: The FID to expect of each configuration, see `expected_fid`.
        share: Share of the new configurations of a model that are vanilla, for models whose
            hyperparameters are searched; without them vanilla is one configuration.
        bound: What a second metric must keep; what does not is neither promoted nor looked around.
        ladder: Whether the samplers choose budgets and further seeds, too; a ``share`` is then
            that of the training steps.
    """

    def __init__(
        self,
        arms: Sequence[tuple[str, Configuration]],
        samplers: Mapping[str, Sampler],
        seed: int,
        eta: float | None,
        seeds: int = 1,
        expect: Expect = lambda _, *told: expected_fid(*told),
        share: Mapping[str, float] | None = None,
        bound: Bound | None = None,
        ladder: bool = False,
    ) -> None:
        self._ladder = ladder
        self._arms = list(arms)
        self._samplers = dict(samplers)
        self._models = list(samplers)
        self._seed = seed
        self._expect = expect
        self._share = dict(share or {})
        self._bounded = {} if bound is None else {name: Bounded(bound) for name in samplers}
        self._configurations: list[_Tried] = []
        self._runs: list[Run] = []
        self._last: dict[int, tuple[Run, int]] = {}
        self._ends: list[tuple[int, str, float | None, int, float | None]] = []
        self._learned = 0
        self._races = {
            name: Race(
                eta or math.inf,
                seeds if eta else 1,
                partial(self.worth, name),
                # hyperparameters move FID far more than seeds do: first there is to be a choice
                _BEFORE_SEEDS if name in self._share else 1,
            )
            for name in self._models
        }

    @property
    def exhausted(self) -> bool:
        """Whether no run is left: never, there is always another schedule to try."""
        return False

    def next(self) -> Proposal:
        """Return the next run; numbers of runs and configurations count up from 0."""
        if len(self._runs) < len(self._arms):
            return self._first_run(*self._arms[len(self._runs)])
        model = self._models[len(self._runs) % len(self._models)]
        promotion = self._races[model].promotion()
        if promotion is not None:
            return self._promoted(promotion)
        chosen = self._samplers[model].ask(len(self._configurations), self._is_vanillas(model))
        tried = [c.configuration is chosen for c in self._configurations]
        if any(tried):  # nothing new is left: the same seed again would show nothing
            number = tried.index(True)
            repeat = sum(run.configuration == number for run in self._runs)
            return self._run(number, repeat)
        return self._first_run(model, chosen)

    def started(self, proposal: Proposal) -> Sequence[Decision]:
        """Learn that a run was started, and return why, if it was chosen for its results.

        Raises:
            ValueError: If it is not the next one by its numbers.
        """
        run = proposal.run
        new = run.configuration == len(self._configurations)
        decisions = self._decisions(proposal)
        if run.trial != len(self._runs) or run.configuration > len(self._configurations):
            raise ValueError(f"trial {run.trial} is not the next one, {len(self._runs)}")
        if new:
            self._configurations.append(_Tried(run.model, proposal.configuration))
            self._samplers[run.model].tried(run.configuration, proposal.configuration)
        self._samplers[run.model].started(run)
        self._races[run.model].start(run.configuration)
        self._runs.append(run)
        return decisions

    def ended(
        self,
        trial: int,
        outcome: str,
        value: float | None,
        step: int,
        second: float | None = None,
    ) -> Sequence[Decision]:
        """Learn how a run ended, see `Sampler.tell`; return what was decided on that: nothing.

        What is learned later, since there is much already, changes no proposal until then.

        Args:
            trial: Number of the run.
            outcome: As for `Sampler.tell`.
            value: As for `Sampler.tell`.
            step: As for `Sampler.tell`.
            second: Of a complete run the metric that is bounded.
        """
        self._ends.append((trial, outcome, value, step, second))
        if len(self._ends) >= int(self._learned * _TOGETHER):
            self._learned += len(self._ends)
            for end in self._ends:
                self._learn(*end)
            self._ends = []
        return ()

    def _learn(
        self, trial: int, outcome: str, value: float | None, step: int, second: float | None
    ) -> None:
        run = self._runs[trial]
        self._last[run.configuration] = run, step
        final = value if outcome == "completed" else None
        self._races[run.model].end(run.configuration, run.repeat, final)
        if final is not None and run.model in self._bounded:
            plain = self._configurations[run.configuration].configuration.is_vanilla
            value = self._bounded[run.model].note(run.configuration, plain, final, second)
        self._samplers[run.model].tell(run, outcome, value, step)

    def worth(
        self, model: str, complete: Mapping[int, Mapping[int, float]]
    ) -> Mapping[int, float]:
        """Return the FID to expect of configurations of one model with complete runs.

        What breaks the bound is worth no more than the worst.
        """
        tried = [self._configurations[c].configuration for c in complete]
        values = [list(runs.values()) for runs in complete.values()]
        fids = self._expect(model, tried, values, [list(runs) for runs in complete.values()])
        found = dict(zip(complete, fids, strict=True))
        if model not in self._bounded:
            return found
        return self._bounded[model].worth(found)

    def _is_vanillas(self, model: str) -> bool:
        """Whether vanilla has the next new configuration: its share is rounded down."""
        counted = [
            self._configurations[run.configuration].configuration
            for run in self._runs
            if run.model == model and (self._ladder or run.repeat == 0)
        ]
        whole = sum(own.scale for own in counted)
        plain = sum(own.scale for own in counted if own.is_vanilla)
        return plain + 1 <= self._share.get(model, 0.0) * (whole + 1) + 1e-9

    def _decisions(self, proposal: Proposal) -> Sequence[Decision]:
        if proposal.decision is not None:
            return (proposal.decision,)
        run = proposal.run
        # records of before do not tell why: it is decided again
        promotion = self._races[run.model].promotion() if run.repeat else None
        if promotion is None or promotion.configuration != run.configuration:
            return ()
        return (self._decision(promotion, f"seed {proposal.seed} is trial {run.trial}"),)

    def _first_run(self, model: str, configuration: Configuration) -> Proposal:
        # the baseline is the vanilla that comes first; others are tuned, and may be stopped
        baseline = configuration.is_vanilla and len(self._runs) < len(self._arms)
        run = Run(len(self._runs), len(self._configurations), model, 0, baseline)
        return Proposal(run, configuration, self._seed)

    def _promoted(self, promotion: Promotion) -> Proposal:
        further = self._run(promotion.configuration, promotion.rung + 1)
        why = f"seed {further.seed} is trial {further.run.trial}"
        return replace(further, decision=self._decision(promotion, why))

    def _run(self, number: int, repeat: int) -> Proposal:
        """Return a run of a configuration on a further seed."""
        own = self._configurations[number]
        baseline = own.configuration.is_vanilla and number < len(self._arms)
        run = Run(len(self._runs), number, own.model, repeat, baseline)
        return Proposal(run, own.configuration, self._seed + repeat)

    def _decision(self, promotion: Promotion, next_run: str) -> Decision:
        last, step = self._last[promotion.configuration]
        best = f"among the best of {promotion.competitors} with {promotion.rung + 1} run(s)"
        return Decision(
            trial=last.trial,
            configuration=promotion.configuration,
            step=step,
            progress=1.0,
            policy="race",
            rung=promotion.rung,
            action="promote",
            value=promotion.value,
            cutoff=promotion.cutoff,
            competitors=promotion.competitors,
            phase="clean",
            reason=f"{best}: {next_run}",
        )
