"""What runs next, in searches whose results are invented."""

import dataclasses
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from tests.search.policy.worlds import STEPS, plain

from mollitune.schedules import Float, Linear, Schedule, build
from mollitune.search.config import SearchConfig
from mollitune.search.launch.proposals import proposer as build_proposer
from mollitune.search.policy import Hyperspace
from mollitune.search.policy.bound import Bound
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.proposer import Proposal, Proposer
from mollitune.search.policy.samplers import RandomSampler, ShapeSampler
from mollitune.search.policy.source import SpaceSource
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.surrogate import MODELLED, ShapeSurrogate, expected_fid

ARMS = plain(build("vanilla"), Linear(until=0.6))


def proposer(
    models: Sequence[str] = ("vae",), seed: int = 0, eta: float | None = 3, seeds: int = 5
) -> Proposer:
    spaces = {name: FamilySpace(name) for name in ("linear", "edm")}
    samplers = {
        name: RandomSampler(SpaceSource(spaces, 8), seed + i) for i, name in enumerate(models)
    }
    return Proposer([(m, s) for s in ARMS for m in models], samplers, seed, eta, seeds)


def fid_of(schedule: Schedule, seed: int) -> float:
    return 20 + 30 * abs(schedule.until - 0.7) + seed % 3


def start(run: Proposer) -> Proposal:
    """Start the next run."""
    proposal = run.next()
    assert run.started(proposal) == (() if proposal.decision is None else (proposal.decision,))
    return proposal


def search(run: Proposer, count: int) -> list[Proposal]:
    """Make complete runs, one after the other."""
    made = []
    for _ in range(count):
        made.append(start(run))
        fid = fid_of(made[-1].schedule, made[-1].seed)
        run.ended(made[-1].run.trial, "completed", fid, STEPS)
    return made


def test_arms_come_first_for_each_model_and_then_the_models_take_turns() -> None:
    made = search(proposer(["vae", "glow"], eta=None), 9)
    assert [(p.run.model, p.configuration) for p in made[:4]] == [
        ("vae", ARMS[0]),
        ("glow", ARMS[0]),
        ("vae", ARMS[1]),
        ("glow", ARMS[1]),
    ]
    assert [p.run.model for p in made[4:]] == ["vae", "glow", "vae", "glow", "vae"]
    assert [p.run.baseline for p in made] == [True, True, *[False] * 7]
    # without a race every run is a new configuration, with one seed
    assert [(p.run.trial, p.run.configuration) for p in made] == [(k, k) for k in range(9)]
    assert {(p.run.repeat, p.seed) for p in made} == {(0, 0)}


def test_race_and_sampler_look_at_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where runs end in another order than they began, with two that never end."""
    fits: list[int] = []

    class Counted(ShapeSurrogate):
        def __init__(self, tried: Sequence[Configuration], *rest: Any, **named: Any) -> None:
            fits.append(len(tried))
            super().__init__(tried, *rest, **named)

    monkeypatch.setattr("mollitune.search.policy.surrogate.ShapeSurrogate", Counted)
    source = SpaceSource({name: FamilySpace(name) for name in ("linear", "edm")}, 8)
    run = Proposer([], {"vae": ShapeSampler(source, 0)}, 0, eta=3, seeds=5)
    made = [start(run) for _ in range(MODELLED + 4)]
    for one in reversed(made[2:]):
        run.ended(one.run.trial, "completed", fid_of(one.schedule, one.seed), STEPS)
    while start(run).run.repeat:
        pass
    assert fits == [len(made) - 2]  # the sampler's second, with the open ones, is its own


def test_promoted_configurations_get_the_next_seed() -> None:
    run = proposer(seed=9)
    made = search(run, 40)
    assert [p.run.trial for p in made] == list(range(40))
    first = [p for p in made if p.run.repeat == 0]
    assert [p.run.configuration for p in first] == list(range(len(first)))
    for p in made:
        assert p.seed == 9 + p.run.repeat
        assert p.configuration is first[p.run.configuration].configuration
    repeats = [p.run.repeat for p in made]
    # 25 configurations at least are needed to promote two of them twice
    assert 0 < repeats.count(2) < repeats.count(1) < repeats.count(0)
    best = [p for p in made if p.run.repeat == max(repeats)]
    middle = sorted(abs(p.schedule.until - 0.7) for p in first)[len(first) // 3]
    assert all(abs(p.schedule.until - 0.7) <= middle for p in best)


def test_every_promotion_is_a_decision() -> None:
    run = proposer(seed=9)
    made = search(run, 40)
    repeated = [p for p in made if p.run.repeat]
    decisions = [p.decision for p in made if p.decision is not None]
    assert [d.configuration for d in decisions] == [p.run.configuration for p in repeated]
    for decision, p in zip(decisions, repeated, strict=True):
        assert decision.rung == p.run.repeat - 1
        assert (decision.value or math.inf) <= (decision.cutoff or 0.0)
        before = made[: p.run.trial]
        own = [q.run.trial for q in before if q.run.configuration == p.run.configuration]
        assert decision.trial == own[-1]
        reached = {q.run.configuration for q in before if q.run.repeat == decision.rung}
        assert decision.competitors == len(reached)


def test_a_decision_in_full() -> None:
    run = proposer(seed=9)
    for fid in (10.0, 5.0, 20.0):
        run.ended(start(run).run.trial, "completed", fid, STEPS)
    promoted = run.next()
    decision = promoted.decision
    assert (promoted.run.configuration, promoted.run.repeat, promoted.seed) == (1, 1, 10)
    assert decision == Decision(
        trial=1,
        configuration=1,
        step=STEPS,
        progress=1.0,
        policy="race",
        rung=0,
        action="promote",
        value=5.0,
        cutoff=5.0,
        competitors=3,
        phase="clean",
        reason="among the best of 3 with 1 run(s): seed 10 is trial 3",
    )


def test_the_expected_fid_promotes_and_not_the_lowest_value() -> None:
    asked: list[tuple[str, list[list[float]], list[list[int]]]] = []

    def expect(
        model: str,
        tried: Sequence[Configuration],
        values: Sequence[Sequence[float]],
        seeds: Sequence[Sequence[int]],
    ) -> list[float]:
        asked.append((model, [list(v) for v in values], [list(s) for s in seeds]))
        return [c.schedule.until for c in tried]

    spaces = {"linear": FamilySpace("linear")}
    sampler = RandomSampler(SpaceSource(spaces, 8), 0)
    arms = [("vae", c) for c in plain(*(Linear(until=u) for u in (0.9, 0.2, 0.5)))]
    run = Proposer(arms, {"vae": sampler}, 0, 3, 5, expect)
    for fid in (1.0, 3.0, 2.0):
        run.ended(start(run).run.trial, "completed", fid, STEPS)
    assert run.next().run.configuration == 1  # the worst value, and the lowest expected one
    assert asked[-1] == ("vae", [[1.0], [3.0], [2.0]], [[0], [0], [0]])


def sequence(seed: int, count: int = 30) -> list[Proposal]:
    return search(proposer(["vae", "glow"], seed), count)


def test_one_seed_gives_one_sequence_and_another_seed_another() -> None:
    first = sequence(4)
    assert sequence(4) == first
    other = sequence(5)
    tried = [[p.configuration for p in s] for s in (first, other)]
    assert tried[0][:4] == tried[1][:4]  # the arms
    assert tried[0][4:] != tried[1][4:]


def test_several_runs_may_be_open() -> None:
    """Four workers that end in any order: numbers stay right, no seed comes twice."""
    rng, run = random.Random(0), proposer(["vae", "glow"])
    open_runs: list[Proposal] = []
    made: list[Proposal] = []
    for _ in range(60):
        while len(open_runs) < 4:
            made.append(start(run))
            open_runs.append(made[-1])
        ended = open_runs.pop(rng.randrange(4))
        run.ended(ended.run.trial, "completed", fid_of(ended.schedule, ended.seed), STEPS)
    assert [p.run.trial for p in made] == list(range(len(made)))
    models = {p.run.configuration: p.run.model for p in made}
    decisions = [p.decision for p in made if p.decision is not None]
    assert all(models[d.configuration] == made[d.trial].run.model for d in decisions)
    pairs = [(p.run.configuration, p.run.repeat) for p in made]
    assert len(set(pairs)) == len(pairs)
    for configuration, repeat in pairs:
        assert repeat == 0 or (configuration, repeat - 1) in pairs
    assert max(repeat for _, repeat in pairs) >= 2


def test_failed_and_stopped_runs_get_no_second_seed() -> None:
    run, lost, promoted = proposer(), set(), 0
    for trial in range(40):
        made = start(run)
        promoted += made.decision is not None
        assert made.run.configuration not in lost
        if trial % 3 == 0:
            lost.add(made.run.configuration)
            run.ended(trial, ("failed", "stopped")[trial % 2], 0.1, 40)
        elif trial % 7 == 0:
            lost.add(made.run.configuration)
            run.ended(trial, "completed", None, STEPS)
        else:
            run.ended(trial, "completed", fid_of(made.schedule, made.seed), STEPS)
    assert promoted


def test_a_proposal_changes_nothing_until_it_was_started() -> None:
    """So that a search is resumed without asking again, from what was started before."""
    asked, trusting = proposer(["vae", "glow"]), proposer(["vae", "glow"])
    for _ in range(30):
        proposal = start(asked)
        assert asked.next() == asked.next()
        trusting.started(proposal)
        for run in (asked, trusting):
            fid = fid_of(proposal.schedule, proposal.seed)
            run.ended(proposal.run.trial, "completed", fid, STEPS)
    assert trusting.next() == asked.next()


def test_what_breaks_a_bound_is_neither_promoted_nor_looked_around() -> None:
    """Bits per dim rise with ``until``, FID falls with it: half of the space is not allowed."""

    spaces = SpaceSource({"linear": FamilySpace("linear")}, 8)
    run = Proposer(
        [("vae", arm) for arm in ARMS],
        {"vae": ShapeSampler(spaces, 0)},
        *(0, 3, 5),
        bound=Bound(0.5, relative=True),
    )
    made = []
    for _ in range(40):
        made.append(start(run))
        until = made[-1].schedule.until
        run.ended(made[-1].run.trial, "completed", 50 - 30 * until, STEPS, 3 + until)
    again = [p.schedule.until for p in made if p.run.repeat]
    chosen = [p.schedule.until for p in made[15:] if not p.run.repeat]
    assert again
    assert max(again) <= 0.5
    assert sum(until <= 0.5 for until in chosen) > 0.8 * len(chosen)
    assert max(chosen) > 0.4  # and not far from the bound, where FID is lowest


def test_what_another_processor_proposed_is_taken_as_it_is() -> None:
    run = proposer()
    search(run, 2)
    proposal = run.next()
    (rounded,) = plain(Linear(until=0.123456))
    assert run.started(dataclasses.replace(proposal, configuration=rounded)) == ()
    run.ended(2, "completed", 1.0, STEPS)
    again = run.next()
    assert (again.run.configuration, again.configuration) == (2, rounded)
    with pytest.raises(ValueError, match="trial 9 is not the next one, 3"):
        run.started(dataclasses.replace(again, run=dataclasses.replace(again.run, trial=9)))


def test_a_record_without_reasons_gives_them_again() -> None:
    run = proposer(seed=9)
    for fid in (10.0, 5.0, 20.0):
        run.ended(start(run).run.trial, "completed", fid, STEPS)
    promoted = run.next()
    (decision,) = run.started(dataclasses.replace(promoted, decision=None))
    assert decision == promoted.decision


def test_a_space_of_one_schedule_gets_further_seeds_not_the_same_run_twice() -> None:
    vanilla = SpaceSource({"vanilla": FamilySpace("vanilla")}, 8)
    run = Proposer([("vae", ARMS[0])], {"vae": RandomSampler(vanilla, 0)}, 0, 3, 5)
    made = search(run, 4)
    assert [(p.run.configuration, p.seed) for p in made] == [(0, 0), (0, 1), (0, 2), (0, 3)]


LR = Hyperspace({"lr": Float(1e-4, 1e-2, log=True)}, (("lr", 1e-3),))


@pytest.mark.parametrize("share", [0.2, 1 / 3, 0.5])
@pytest.mark.parametrize("sampler", ["shape", "random", "tpe", "gp"])
def test_each_side_gets_its_share_of_new_configurations(sampler: str, share: float) -> None:
    """Also if it is resumed after every run: what is proposed follows from the record alone."""
    config = SearchConfig.model_validate(
        {
            "name": "run",
            "model": {"name": "vae", "lr": [1e-4, 1e-2]},
            "families": ["linear", "edm"],
            "sampler": sampler,
            "vanilla_share": share,
            "trials": 40,
        }
    )
    run, made = build_proposer(config, 8), list[Proposal]()
    for count in range(30):
        made += search(run, 1)
        sides = [p.configuration.is_vanilla for p in made if p.run.repeat == 0]
        least = int(share * len(sides) + 1e-9)
        assert least <= sum(sides) <= max(1, least)
        if count % 10 == 9:
            again = build_proposer(config, 8)
            for proposal in made:
                again.started(proposal)
                fid = fid_of(proposal.schedule, proposal.seed)
                again.ended(proposal.run.trial, "completed", fid, STEPS)
            assert again.next() == run.next()
    tuned = {p.configuration.settings for p in made if p.configuration.is_vanilla}
    assert len(tuned) >= 3
    # only the first vanilla is the baseline; the others may be stopped like any configuration
    assert {p.run.configuration for p in made if p.run.baseline} == {0}


def test_neighbours_of_the_best_are_looked_at_where_hyperparameters_are_searched() -> None:
    """The optimum is at a rate of 3e-3 with until .5: random draws come near it rarely."""
    source = SpaceSource({"linear": FamilySpace("linear")}, 8, LR)
    run = Proposer(
        [("vae", Configuration(s.schedule, LR.first)) for s in ARMS],
        {"vae": ShapeSampler(source, 0, LR)},
        seed=0,
        eta=3,
        seeds=3,
        expect=lambda _, tried, fids, seeds: expected_fid(tried, fids, seeds, LR),
        share={"vae": 1 / 3},
    )

    def fid(configuration: Configuration) -> float:
        lr = math.log10(float(dict(configuration.settings)["lr"]))
        return 20 + 20 * (lr + 2.5) ** 2 + 60 * (configuration.schedule.until - 0.5) ** 2

    found, repeated = [], []
    for _ in range(40):
        proposal = start(run)
        found.append(fid(proposal.configuration))
        repeated.append(proposal.run.repeat > 0)
        run.ended(proposal.run.trial, "completed", found[-1], STEPS)
    assert min(found) < 20.3
    assert repeated.index(True) == 12  # further seeds come once twelve were tried


def test_from_the_fiftieth_on_results_are_learned_together() -> None:
    run = proposer()
    search(run, 48)
    learned = []
    for _ in range(8):
        made = start(run)
        run.ended(made.run.trial, "completed", 20.0, STEPS)
        learned.append(sum(len(entry.values) for entry in run._races["vae"]._entries.values()))
    # 4 %: two of 50
    assert learned == [49, 50, 50, 52, 52, 54, 54, 56]
