"""The early stopping of a search, and stock ASHA beside it."""

import inspect
import math
import random
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.async_hyperband import _Bracket
from tests.search.policy.worlds import STEPS, about, evaluated, judged

from mollitune.search.policy.decision import Decision
from mollitune.search.policy.rules import rule
from mollitune.search.policy.stopping import Run, Stopping


def cut(rule: str = "late_cut", audit: float = 0.0, seed: int = 0, least: int = 3) -> Stopping:
    return Stopping(rule, (2 / 3,), 3, least, audit, seed)


def run(trial: int, repeat: int = 0, baseline: bool = False) -> Run:
    return Run(trial, trial, "vae", repeat, baseline)


def test_decisions_say_what_was_seen() -> None:
    stopping = cut(least=2)
    assert evaluated(stopping, run(0), 30, 80.0) is None  # no rung here
    assert judged(stopping, run(0), 40, 10.0).action == "continue"
    assert evaluated(stopping, Run(1, 7, "vae"), 40, 20.0) == Decision(
        trial=1,
        configuration=7,
        step=40,
        progress=2 / 3,
        policy="late_cut",
        rung=0,
        action="stop",
        value=20.0,
        cutoff=about(10 + 10 / 3),
        competitors=2,
        phase="clean",
        reason="not among the best 1/3 of this rung",
    )


def test_a_mollified_value_is_skipped_and_is_no_competitor() -> None:
    stopping = cut(least=2)
    for trial, fid in enumerate((1.0, 2.0, math.nan)):
        decision = judged(stopping, run(trial), 40, fid, until=0.9)
        assert (decision.action, decision.cutoff, decision.competitors) == ("skip", None, 0)
        assert decision.reason == "training data still mollified: the value cannot be compared"
    late = judged(stopping, run(3), 40, 50.0)
    assert (late.action, late.competitors) == ("continue", 1)


def test_an_evaluation_that_is_run_again_is_not_judged_twice() -> None:
    stopping = cut()
    assert judged(stopping, run(0), 40, 10.0).action == "continue"
    for step in (20, 30, 40):  # the worker died, and the trial went on from an older checkpoint
        assert evaluated(stopping, run(0), step, 10.0) is None
    other = judged(stopping, run(1), 40, 20.0)
    assert other.competitors == 2


def test_the_last_evaluation_is_not_judged() -> None:
    stopping = Stopping("late_cut", (1.0,), 3, 2, 0.0, 0)
    assert [evaluated(stopping, run(k), STEPS, float(k)) for k in range(4)] == [None] * 4


@pytest.mark.parametrize("fid", [99.0, math.nan])
def test_vanilla_is_never_stopped(fid: float) -> None:
    stopping = cut(audit=0.5)
    for trial in range(4):
        evaluated(stopping, run(trial), 40, 1.0)
    decision = judged(stopping, run(9, baseline=True), 40, fid)
    reason = "vanilla is the baseline and is never stopped"
    assert (decision.action, decision.reason) == ("continue", reason)


def test_repeated_runs_are_not_judged_and_do_not_harden_the_rung() -> None:
    stopping = cut(least=2)
    for trial in range(4):  # the best configurations, on their second seeds
        assert evaluated(stopping, run(trial, repeat=1), 40, 1.0) is None
    assert judged(stopping, run(5), 40, 20.0).action == "continue"
    found = judged(stopping, run(6), 40, 10.0)
    assert (found.action, found.competitors) == ("continue", 2)


def test_a_probe_judges_the_branch_whatever_the_phase() -> None:
    stopping = cut("probe")
    branches = [(20.0, 0.9), (30.0, 0.5), (40.0, 0.9), (10.0, 0.9)]
    found = [judged(stopping, run(k), 40, 99.0 - k, u, f) for k, (f, u) in enumerate(branches)]
    assert [d.action for d in found] == ["continue", "continue", "stop", "continue"]
    assert [d.value for d in found] == [20.0, 30, 40, 10]
    assert [d.policy for d in found] == ["probe"] * 4
    missing = judged(stopping, run(9), 40, 1.0)
    assert (missing.action, missing.value) == ("skip", None)
    assert missing.reason == "no cooldown branch was measured here"


def test_the_guard_has_no_switch() -> None:
    """All arguments there are; whatever they say, a mollified value meets no rung."""
    assert list(inspect.signature(Stopping).parameters) == (
        ["rule", "marks", "eta", "least", "audit", "seed"]
    )
    for name in ("asha", "late_cut"):
        stopping = Stopping(name, (1 / 6, 1 / 2), 1.01, 0, 1.0, 0)
        for trial in range(8):
            assert judged(stopping, run(trial), 10, float(trial), 0.9).action == "skip"


# The audit.


def would_be_stopped(seed: int, trials: list[int], audit: float) -> dict[int, str]:
    stopping = cut(audit=audit, seed=seed)
    for better in range(len(trials) + 2):  # enough that in any order the cutoff stays at theirs
        evaluated(stopping, run(1000 + better), 40, 1.0)
    return {trial: judged(stopping, run(trial), 40, 10.0 + trial).action for trial in trials}


def test_the_audit_depends_on_seed_and_trial_alone() -> None:
    trials = list(range(60))
    first = would_be_stopped(4, trials, 0.3)
    random.seed(1)
    assert would_be_stopped(4, trials[::-1], 0.3) == first
    assert would_be_stopped(4, [31], 0.3)[31] == first[31]
    assert would_be_stopped(5, trials, 0.3) != first
    assert set(first.values()) == {"stop", "audit"}


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_the_audited_share_is_the_one_asked_for(share: float) -> None:
    draws = 2000
    audited = sum(
        found == "audit"
        for seed in range(20)
        for found in would_be_stopped(seed, list(range(draws // 20)), share).values()
    )
    # binomial, 4 standard deviations
    assert abs(audited - share * draws) <= 4 * math.sqrt(draws * share * (1 - share))


def test_an_audited_run_stays_one_and_its_value_counts() -> None:
    stopping = Stopping("asha", (1 / 3, 2 / 3), 3, 3, 1.0, 0)
    for trial, fid in enumerate((1.0, 2.0, 9.0)):
        for step in (20, 40):
            last = judged(stopping, run(trial), step, fid, until=0.1)
    assert (last.action, last.rung, last.competitors) == ("audit", 1, 3)
    assert (
        last.reason == "not among the best 1/3 of this rung; continues, as a check of the policy"
    )


def test_a_value_that_is_no_number_is_never_audited() -> None:
    stopping = cut(audit=1.0)
    for trial in range(6):
        decision = judged(stopping, run(trial), 40, math.nan)
        assert (decision.action, decision.competitors) == ("stop", 0)
        assert decision.reason == "the value is not finite"


# Where FID measures noise.


def measured(until: float, progress: float) -> float:
    """The slower the schedule the better in the end, but the noise that is left adds."""
    left = max(0.0, 1 - progress / until) if until else 0.0
    return 60 - 50 * until + 30 * (1 - progress) + 300 * left


FIELD = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9]
STOPS = (10, 20, 30, 40, 50)


Stops = Callable[[int, int, float, float], bool]
"""From trial, step, FID and share that is mollified to whether the run is stopped."""


def survivors(stops: Stops) -> list[float]:
    alive = list(enumerate(FIELD))
    for step in STOPS:
        alive = [
            (trial, until)
            for trial, until in alive
            if not stops(trial, step, measured(until, step / STEPS), until)
        ]
    return [until for _, until in alive]


def stops_by(stopping: Stopping) -> Stops:
    def stops(trial: int, step: int, fid: float, until: float) -> bool:
        decision = evaluated(stopping, run(trial), step, fid, until)
        return decision is not None and decision.action == "stop"

    return stops


def stops_by_stock_asha(grace: int) -> Stops:
    bracket = _Bracket(grace, STEPS, 3, 0)

    def stops(trial: int, step: int, fid: float, until: float) -> bool:
        answer = bracket.on_result(SimpleNamespace(trial_id=str(trial)), step, -fid)
        return bool(answer != TrialScheduler.CONTINUE)

    return stops


@pytest.mark.parametrize("grace", [10, 20, 40])
def test_the_slow_schedule_that_ends_best_survives_where_stock_asha_kills_it(grace: int) -> None:
    best = min(FIELD, key=lambda until: measured(until, 1))
    rung = grace / STEPS
    assert best == max(FIELD, key=lambda until: measured(until, rung))  # the worst at the rung
    assert best not in survivors(stops_by_stock_asha(grace))
    for name in ("late_cut", "asha"):
        own = Stopping(name, rule(name).marks(rung, 3), 3, 3, 0.0, 0)
        assert best in survivors(stops_by(own))


def test_on_clean_data_the_worse_are_stopped() -> None:
    # 0.0 to 0.6 report in turn, each better than all before; then from the best to the worst
    assert survivors(stops_by(cut())) == FIELD
    stopping = cut()
    actions = [
        judged(stopping, run(k), 40, measured(until, 2 / 3), until).action
        for k, until in enumerate(FIELD[::-1])
    ]
    assert actions == ["skip", "continue", "continue", *["stop"] * 5]
