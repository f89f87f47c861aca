"""A confirmation: the same fresh seeds for every arm, and no more for arms that are out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .configuration import Configuration
from .decision import Decision
from .proposer import Proposal
from .stopping import Run

Out = Callable[[Mapping[int, Mapping[int, float]], int, int, int], Mapping[int, str]]
"""From the FIDs by seed of the arms that are left, the number of vanilla, the planned seeds and
how many arms there were at first to the arms that are clearly out, each with the reason."""


@dataclass(frozen=True)
class Candidate:
    """A configuration to be confirmed.

    Arguments:
        number: Its number.
        configuration: Schedule and hyperparameters.
    """

    number: int
    configuration: Configuration


@dataclass
class _Contest:
    """What is known of the arms of one model at one budget."""

    vanilla: int
    arms: dict[int, Configuration]
    fids: dict[int, dict[int, float]]
    ended: dict[int, set[int]]
    last: dict[int, tuple[Run, int]] = field(default_factory=dict)
    out: set[int] = field(default_factory=set)
    looks: int = 0


class Confirmation:
    """Hands out the runs of a confirmation, seed by seed, and drops arms that are clearly out.

    Arms of one seed share initial weights and batches, so that they compare in pairs. Once all
    arms that are left have ended a seed, they are looked at: between two looks the order in which
    runs end changes nothing. The baseline is never dropped: the others are compared with it; nor
    is vanilla at the hyperparameters of a schedule that is left.
    Each budget is a contest of its own: what is dropped at one is trained on at the others.
    Nobody waits for a look, so a cluster may be some runs ahead of it.

    Arguments:
        arms: The configurations of each model; of each budget the first vanilla is the baseline.
        seeds: Seeds per arm.
        first_seed: The first of them; the others count up.
        first_trial: Number of the first run.
        clearly_out: Which arms are out after a look.
    """

    def __init__(
        self,
        arms: Mapping[str, Sequence[Candidate]],
        seeds: int,
        first_seed: int,
        first_trial: int,
        clearly_out: Out,
    ) -> None:
        self._seeds = seeds
        self._first_seed = first_seed
        self._number = first_trial
        self._clearly_out = clearly_out
        self._contests = {
            (model, scale): _contest([arm for arm in own if arm.configuration.scale == scale])
            for model, own in arms.items()
            for scale in {arm.configuration.scale for arm in own}
        }
        self._order = [
            (model, candidate, repeat)
            for repeat in range(seeds)
            for model, own in arms.items()
            for candidate in own
        ]
        self._runs: dict[int, tuple[Run, _Contest]] = {}

    @property
    def exhausted(self) -> bool:
        """Whether no run is left to be handed out."""
        return next(self._left(), None) is None

    def next(self) -> Proposal | None:
        """Return the next run; None if there will be no more."""
        place = next(self._left(), None)
        if place is None:
            return None
        model, candidate, repeat = self._order[place]
        baseline = candidate.number == self._contest_of(model, candidate).vanilla
        run = Run(self._number, candidate.number, model, repeat, baseline)
        return Proposal(run, candidate.configuration, self._first_seed + repeat)

    def started(self, proposal: Proposal) -> Sequence[Decision]:
        """Learn that a run was started; those before it are of arms that were out.

        Raises:
            ValueError: If it is none of this confirmation.
        """
        run = proposal.run
        own = (run.model, run.configuration, run.repeat)
        keys = [(model, arm.number, repeat) for model, arm, repeat in self._order]
        place = keys.index(own)
        contest = self._contest_of(run.model, self._order[place][1])
        self._order = self._order[place + 1 :]
        self._runs[run.trial] = run, contest
        self._number = run.trial + 1
        return ()

    def ended(
        self,
        trial: int,
        outcome: str,
        value: float | None,
        step: int,
        second: float | None = None,
    ) -> Sequence[Decision]:
        """Learn how a run ended, and return who is dropped; one that failed takes its arm out.

        Who breaks a bound on a second metric is not dropped: the verdict says so.
        """
        run, contest = self._runs[trial]
        contest.ended[run.configuration].add(run.repeat)
        contest.last[run.configuration] = run, step
        if outcome == "completed" and value is not None:
            contest.fids[run.configuration][run.repeat] = value
        elif not run.baseline:
            contest.out.add(run.configuration)
        dropped: list[Decision] = []
        while self._look_is_due(contest):
            contest.looks += 1
            dropped += self._look(contest)
        return dropped

    def _left(self) -> Iterator[int]:
        """Places in the order of the runs of arms that are not out."""
        for place, (model, candidate, _) in enumerate(self._order):
            if candidate.number not in self._contest_of(model, candidate).out:
                yield place

    def _contest_of(self, model: str, arm: Candidate) -> _Contest:
        return self._contests[model, arm.configuration.scale]

    def _look_is_due(self, contest: _Contest) -> bool:
        left = [arm for arm in contest.ended if arm not in contest.out]
        return contest.looks < self._seeds and all(
            contest.looks in contest.ended[arm] for arm in left
        )

    def _look(self, contest: _Contest) -> list[Decision]:
        """Drop the arms that are out by the seeds that all arms have ended."""
        seen = {
            arm: {seed: fid for seed, fid in fids.items() if seed < contest.looks}
            for arm, fids in contest.fids.items()
            if arm not in contest.out
        }
        if contest.looks == self._seeds:
            return []  # the verdict follows
        found = self._clearly_out(seen, contest.vanilla, self._seeds, len(contest.fids))
        out = {arm: why for arm, why in found.items() if not contest.arms[arm].is_vanilla}
        contest.out.update(out)
        out |= _alone(contest)
        contest.out.update(out)
        return [_dropped(contest, arm, reason, len(seen)) for arm, reason in out.items()]


def _contest(arms: Sequence[Candidate]) -> _Contest:
    numbers = [arm.number for arm in arms]
    vanilla = next(arm.number for arm in arms if arm.configuration.is_vanilla)
    own = {arm.number: arm.configuration for arm in arms}
    return _Contest(vanilla, own, {n: {} for n in numbers}, {n: set() for n in numbers})


def _alone(contest: _Contest) -> dict[int, str]:
    """Vanilla arms at the hyperparameters of schedules that are all out: nobody needs them."""
    left = {n: own for n, own in contest.arms.items() if n not in contest.out}
    needed = {own.settings for own in left.values() if not own.is_vanilla}
    return {
        n: "no schedule with its hyperparameters is left"
        for n, own in left.items()
        if own.is_vanilla and n != contest.vanilla and own.settings not in needed
    }


def _dropped(contest: _Contest, arm: int, reason: str, competitors: int) -> Decision:
    run, step = contest.last[arm]
    seen = [fid for seed, fid in contest.fids[arm].items() if seed < contest.looks]
    return Decision(
        trial=run.trial,
        configuration=arm,
        step=step,
        progress=1.0,
        policy="confirm",
        rung=contest.looks - 1,
        action="drop",
        value=sum(seen) / len(seen),
        cutoff=None,
        competitors=competitors,
        phase="clean",
        reason=reason,
    )
