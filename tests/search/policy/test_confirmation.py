"""A confirmation hands out the same seeds to every arm until one is out."""

from collections.abc import Mapping, Sequence

import pytest
from tests.search.policy.worlds import plain

from mollitune.schedules import Linear, Sigmoid, Vanilla
from mollitune.search.policy.confirmation import Candidate, Confirmation
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.proposer import Proposal

VANILLA, GOOD, BAD = 0, 4, 7
TRIED = plain(Vanilla(), Sigmoid(until=0.5), Linear(until=0.9))
ARMS = [Candidate(*arm) for arm in zip((VANILLA, GOOD, BAD), TRIED, strict=True)]
FIDS = {VANILLA: 70.0, GOOD: 60.0, BAD: 100.0}
FIRST_SEED, FIRST_TRIAL = 10_000, 1_000_000

Seen = Mapping[int, Mapping[int, float]]


class Judge:
    """Drops what is 30 above the best from the second look on, and notes what it was shown."""

    def __init__(self) -> None:
        self.looks: list[dict[int, dict[int, float]]] = []

    def __call__(self, fids: Seen, vanilla: int, planned: int, arms: int) -> dict[int, str]:
        assert arms >= len(fids)
        self.looks.append({arm: dict(own) for arm, own in fids.items()})
        if len(self.looks) < 2:
            return {}
        best = min(own[0] for own in fids.values())
        return {a: "worse" for a, own in fids.items() if a != vanilla and own[0] > best + 30}


def confirmation(
    judge: Judge, seeds: int = 4, arms: dict[str, list[Candidate]] | None = None
) -> Confirmation:
    return Confirmation(arms or {"vae": ARMS}, seeds, FIRST_SEED, FIRST_TRIAL, judge)


def start(policy: Confirmation) -> Proposal:
    proposal = policy.next()
    assert proposal is not None
    assert policy.next() == proposal  # it counts once it was started
    policy.started(proposal)
    return proposal


def end(
    policy: Confirmation, proposal: Proposal, outcome: str = "completed"
) -> Sequence[Decision]:
    value = FIDS[proposal.run.configuration] + proposal.seed - FIRST_SEED
    return policy.ended(proposal.run.trial, outcome, value if outcome == "completed" else None, 90)


def run_all(policy: Confirmation, decisions: list[Decision] | None = None) -> list[Proposal]:
    made = []
    while not policy.exhausted:
        made.append(start(policy))
        found = end(policy, made[-1])
        if decisions is not None:
            decisions += found
    return made


def plan(made: list[Proposal]) -> list[tuple[int, int]]:
    return [(proposal.seed - FIRST_SEED, proposal.run.configuration) for proposal in made]


def test_every_arm_gets_the_same_seeds_until_one_is_out() -> None:
    policy = confirmation(judge := Judge())
    assert not policy.exhausted
    made = run_all(policy)
    arms = {arm.number: arm.configuration for arm in ARMS}
    assert all(p.configuration == arms[p.run.configuration] for p in made)
    assert [p.run.baseline for p in made[:3]] == [True, False, False]
    assert plan(made) == [
        *[(0, VANILLA), (0, GOOD), (0, BAD)],
        *[(1, VANILLA), (1, GOOD), (1, BAD)],
        *[(2, VANILLA), (2, GOOD)],
        *[(3, VANILLA), (3, GOOD)],
    ]
    assert [proposal.run.trial for proposal in made] == list(range(FIRST_TRIAL, FIRST_TRIAL + 10))
    assert policy.exhausted
    # after the last seed there is nobody to drop any more
    assert [len(look[VANILLA]) for look in judge.looks] == [1, 2, 3]


def test_what_was_dropped_is_told_once_with_its_grounds() -> None:
    policy = confirmation(Judge())
    decisions: list[Decision] = []
    run_all(policy, decisions)
    (dropped,) = decisions
    assert (dropped.configuration, dropped.action, dropped.policy) == (BAD, "drop", "confirm")
    assert (dropped.rung, dropped.competitors, dropped.reason) == (1, 3, "worse")
    assert dropped.value == 100.5
    assert dropped.trial == FIRST_TRIAL + 5


def test_a_look_waits_for_the_slowest_and_sees_nothing_ahead_of_it() -> None:
    policy = confirmation(judge := Judge())
    ahead = [start(policy) for _ in range(5)]
    assert plan(ahead)[3:] == [(1, VANILLA), (1, GOOD)]
    for proposal in [*ahead[3:], *ahead[:2]]:
        end(policy, proposal)
    assert judge.looks == []
    end(policy, ahead[2])
    assert judge.looks == [{VANILLA: {0: 70.0}, GOOD: {0: 60.0}, BAD: {0: 100.0}}]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_the_order_of_ends_within_a_seed_changes_nothing(order: list[int]) -> None:
    policy = confirmation(Judge())
    decisions: list[Decision] = []
    for _ in range(2):
        proposals = [start(policy) for _ in range(3)]
        for i in order:
            decisions += end(policy, proposals[i])
    assert [decision.configuration for decision in decisions] == [BAD]
    rest = run_all(policy)
    assert plan(rest) == [(2, VANILLA), (2, GOOD), (3, VANILLA), (3, GOOD)]


def test_a_failed_run_takes_its_arm_out_but_never_vanilla() -> None:
    policy = confirmation(judge := Judge(), seeds=2)
    for outcome in ("failed", "failed", "completed"):
        end(policy, start(policy), outcome)
    assert judge.looks == [{VANILLA: {}, BAD: {0: 100.0}}]
    assert plan(run_all(policy)) == [(1, VANILLA), (1, BAD)]


def test_models_do_not_meet() -> None:
    policy = confirmation(judge := Judge(), 2, {"vae": ARMS, "glow": ARMS[:2]})
    made = run_all(policy)
    assert [p.run.model for p in made] == [*["vae"] * 3, *["glow"] * 2] * 2
    assert sorted(len(look) for look in judge.looks) == [2, 3]


def at(scale: float, first: int) -> list[Candidate]:
    """The arms at another budget: the same schedules, as configurations of their own."""
    return [Candidate(first + arm.number, arm.configuration.at(scale)) for arm in ARMS]


LONGER = at(4.0, 100)


def test_each_budget_is_a_contest_of_its_own() -> None:
    fids = FIDS | {100 + VANILLA: 60.0, 100 + GOOD: 60.0, 100 + BAD: 61.0}
    policy = confirmation(judge := Judge(), 4, {"vae": [*ARMS, *LONGER]})
    made: list[Proposal] = []
    decisions: list[Decision] = []
    while not policy.exhausted:
        made.append(start(policy))
        run = made[-1].run
        decisions += policy.ended(run.trial, "completed", fids[run.configuration], 90)
    short, long = [VANILLA, GOOD, BAD], [100 + VANILLA, 100 + GOOD, 100 + BAD]
    # the shortest budget first within each seed; what is out at one budget is kept at the other
    assert [arms for _, arms in plan(made)] == [*short, *long] * 2 + [*short[:2], *long] * 2
    assert [p.configuration.scale for p in made[:6]] == [1, 1, 1, 4, 4, 4]
    assert [p.run.baseline for p in made[:6]] == [True, False, False] * 2
    assert {p.seed for p in made} == set(range(FIRST_SEED, FIRST_SEED + 4))
    assert [(d.configuration, d.competitors) for d in decisions] == [(BAD, 3)]
    assert all(len({arm < 100 for arm in look}) == 1 for look in judge.looks)


def test_a_record_of_several_budgets_is_folded_to_the_same_state() -> None:
    """As a confirmation that was killed goes on: starts and ends are told, nothing is asked."""
    whole = run_all_of_both(confirmation(Judge(), 4, {"vae": [*ARMS, *LONGER]}))
    for killed in range(0, len(whole), 5):
        policy = confirmation(Judge(), 4, {"vae": [*ARMS, *LONGER]})
        for proposal in whole[:killed]:
            policy.started(proposal)
            end_of_both(policy, proposal)
        assert whole[:killed] + run_all_of_both(policy) == whole


def end_of_both(policy: Confirmation, proposal: Proposal) -> None:
    fid = FIDS[proposal.run.configuration % 100]
    policy.ended(proposal.run.trial, "completed", fid, 90)


def run_all_of_both(policy: Confirmation) -> list[Proposal]:
    made = []
    while not policy.exhausted:
        made.append(start(policy))
        end_of_both(policy, made[-1])
    return made
