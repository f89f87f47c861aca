"""The early stopping of a search, and stock ASHA beside it."""

import inspect
import math
import random
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.async_hyperband import _Bracket
from tests.search.policy.worlds import STEPS, about, action, evaluated

from mollitune.search.policy.comparability import Comparability, UnlikeValuesError
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.stopping import Observation, Run, Stopping


def cut(rule: str = "late_cut", audit: float = 0.0, seed: int = 0, least: int = 3) -> Stopping:
    return Stopping(rule, (2 / 3,), 3, least, audit, seed)


def run(trial: int, repeat: int = 0, vanilla: bool = False, model: str = "vae") -> Run:
    return Run(trial, trial, model, repeat, vanilla)


def test_decisions_say_what_was_seen() -> None:
    stopping = cut(least=2)
    assert evaluated(stopping, run(0), 30, 80.0) is None  # no rung here
    assert action(evaluated(stopping, run(0), 40, 10.0)) == "continue"
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
        decision = evaluated(stopping, run(trial), 40, fid, until=0.9)
        assert decision is not None
        assert (decision.action, decision.cutoff, decision.competitors) == ("skip", None, 0)
        assert decision.reason == "training data still mollified: the value does not compare"
    late = evaluated(stopping, run(3), 40, 50.0)
    assert late is not None
    assert (late.action, late.competitors) == ("continue", 1)


def test_a_rung_is_never_filled_later() -> None:
    stopping = Stopping("asha", (0.5,), 3, 2, 0.0, 0)
    assert action(evaluated(stopping, run(0), 30, 1.0, until=0.7)) == "skip"
    assert evaluated(stopping, run(0), 50, 1.0, until=0.7) is None  # clean now, but past the rung
    other = evaluated(stopping, run(1), 30, 70.0)
    assert other is not None
    assert other.competitors == 1


def test_an_evaluation_that_is_run_again_is_not_judged_twice() -> None:
    stopping = cut()
    assert action(evaluated(stopping, run(0), 40, 10.0)) == "continue"
    for step in (20, 30, 40):  # the worker died, and the trial went on from an older checkpoint
        assert evaluated(stopping, run(0), step, 10.0) is None
    other = evaluated(stopping, run(1), 40, 20.0)
    assert other is not None
    assert other.competitors == 2


def test_the_last_evaluation_is_not_judged() -> None:
    stopping = Stopping("late_cut", (1.0,), 3, 2, 0.0, 0)
    assert [evaluated(stopping, run(k), STEPS, float(k)) for k in range(4)] == [None] * 4


def test_rule_none_stops_nobody() -> None:
    stopping = cut("none", least=2)
    for trial in range(6):
        assert [evaluated(stopping, run(trial), s, math.nan) for s in (30, 40, 50)] == [None] * 3


@pytest.mark.parametrize("fid", [99.0, math.nan])
def test_vanilla_is_never_stopped(fid: float) -> None:
    stopping = cut(audit=0.5)
    for trial in range(4):
        evaluated(stopping, run(trial), 40, 1.0)
    decision = evaluated(stopping, run(9, vanilla=True), 40, fid)
    assert decision is not None
    reason = "vanilla is the baseline and is never stopped"
    assert (decision.action, decision.reason) == ("continue", reason)


def test_repeated_runs_are_not_judged_and_do_not_harden_the_rung() -> None:
    stopping = cut(least=2)
    for trial in range(4):  # the best configurations, on their second seeds
        assert evaluated(stopping, run(trial, repeat=1), 40, 1.0) is None
    assert action(evaluated(stopping, run(5), 40, 20.0)) == "continue"
    found = evaluated(stopping, run(6), 40, 10.0)
    assert found is not None
    assert (found.action, found.competitors) == ("continue", 2)


def test_models_do_not_compete() -> None:
    stopping = cut(least=2)
    actions = [
        action(evaluated(stopping, run(trial, model=model), 40, base + trial))
        for trial, (model, base) in enumerate([("vae", 1.0), ("glow", 100.0)] * 2)
    ]
    assert actions == ["continue", "continue", "stop", "stop"]


def probed(
    stopping: Stopping, trial: int, probe_fid: float | None, phase: str = "mollified"
) -> Decision:
    like = Comparability("vae", 40)
    decision = stopping.judge(
        run(trial), Observation(40, 2 / 3, phase, 1000.0 - trial, probe_fid, like)
    )
    assert decision is not None
    return decision


def test_a_probe_judges_the_branch_whatever_the_phase() -> None:
    stopping = cut("probe")
    phases = ["mollified", "clean", "mollified", "mollified"]
    found = [probed(stopping, k, fid, phases[k]) for k, fid in enumerate([20.0, 30, 40, 10])]
    assert [d.action for d in found] == ["continue", "continue", "stop", "continue"]
    assert [d.value for d in found] == [20.0, 30, 40, 10]
    assert [d.policy for d in found] == ["probe"] * 4


def test_without_a_branch_there_is_nothing_to_probe() -> None:
    missing = probed(cut("probe"), 0, None, "clean")
    assert (missing.action, missing.value) == ("skip", None)
    assert missing.reason == "no cooldown branch was measured here"


@pytest.mark.parametrize("other", [{"extractor": "b"}, {"samples": 9}, {"ema": 0.1}])
def test_unlike_values_are_refused(other: dict[str, object]) -> None:
    stopping = cut()
    like = Comparability("vae", 40, extractor="a", samples=10, reference="r", ema=0.0)
    stopping.judge(run(0), Observation(40, 2 / 3, "clean", 1.0, None, like))
    unlike = Comparability(**{**vars(like), **other})
    with pytest.raises(UnlikeValuesError, match=next(iter(other))):
        stopping.judge(run(1), Observation(40, 2 / 3, "clean", 1.0, None, unlike))


def test_the_guard_has_no_switch() -> None:
    """All arguments there are; whatever they say, a mollified value meets no rung."""
    assert list(inspect.signature(Stopping).parameters) == (
        ["rule", "marks", "eta", "least", "audit", "seed"]
    )
    for rule in ("asha", "late_cut"):
        stopping = Stopping(rule, (1 / 6, 1 / 2), 1.01, 0, 1.0, 0)
        for trial in range(8):
            assert action(evaluated(stopping, run(trial), 10, float(trial), 0.9)) == "skip"


# The audit.


def would_be_stopped(seed: int, trials: list[int], audit: float) -> dict[int, str]:
    stopping = cut(audit=audit, seed=seed)
    for better in range(len(trials) + 2):  # enough that in any order the cutoff stays at theirs
        evaluated(stopping, run(1000 + better), 40, 1.0)
    return {trial: action(evaluated(stopping, run(trial), 40, 10.0 + trial)) for trial in trials}


def test_the_audit_depends_on_seed_and_trial_alone() -> None:
    trials = list(range(60))
    first = would_be_stopped(4, trials, 0.3)
    random.seed(1)
    assert would_be_stopped(4, trials[::-1], 0.3) == first
    assert would_be_stopped(4, [31], 0.3)[31] == first[31]
    assert would_be_stopped(5, trials, 0.3) != first
    assert set(first.values()) == {"stop", "audit"}


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_the_audited_share_is_the_one_asked_for(share: float) -> None:
    draws = 2000
    audited = sum(
        found == "audit"
        for seed in range(20)
        for found in would_be_stopped(seed, list(range(draws // 20)), share).values()
    )
    # binomial, 4 standard deviations
    assert abs(audited - share * draws) < 4 * math.sqrt(draws * share * (1 - share))


@pytest.mark.parametrize(("share", "expected"), [(0.0, "stop"), (1.0, "audit")])
def test_none_or_all_are_audited(share: float, expected: str) -> None:
    assert set(would_be_stopped(0, list(range(30)), share).values()) == {expected}


def test_an_audited_run_stays_one_and_its_value_counts() -> None:
    stopping = Stopping("asha", (1 / 3, 2 / 3), 3, 3, 1.0, 0)
    for trial, fid in enumerate((1.0, 2.0, 9.0)):
        for step in (20, 40):
            last = evaluated(stopping, run(trial), step, fid, until=0.1)
    assert last is not None
    assert (last.action, last.rung, last.competitors) == ("audit", 1, 3)
    assert last.reason == "not among the best 1/3 of this rung; goes on as a check of the policy"


def test_a_value_that_is_no_number_is_never_audited() -> None:
    stopping = cut(audit=1.0)
    for trial in range(6):
        decision = evaluated(stopping, run(trial), 40, math.nan)
        assert decision is not None
        assert (decision.action, decision.competitors) == ("stop", 0)
        assert decision.reason == "FID is not finite"


# Where FID measures noise.


def measured(until: float, progress: float) -> float:
    """The slower the schedule the better in the end, but the noise that is left adds."""
    left = max(0.0, 1 - progress / until) if until else 0.0
    return 60 - 50 * until + 30 * (1 - progress) + 300 * left


FIELD = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9]
STOPS = (10, 20, 30, 40, 50)


def survivors(stopping: Stopping) -> list[float]:
    alive = list(enumerate(FIELD))
    for step in STOPS:
        alive = [
            (trial, until)
            for trial, until in alive
            if (
                decision := evaluated(
                    stopping, run(trial), step, measured(until, step / STEPS), until
                )
            )
            is None
            or decision.action != "stop"
        ]
    return [until for _, until in alive]


def survivors_of_stock_asha(grace: int) -> list[float]:
    bracket = _Bracket(grace, STEPS, 3, 0)
    alive = list(enumerate(FIELD))
    for step in STOPS:
        alive = [
            (trial, until)
            for trial, until in alive
            if bracket.on_result(
                SimpleNamespace(trial_id=str(trial)), step, -measured(until, step / STEPS)
            )
            == TrialScheduler.CONTINUE
        ]
    return [until for _, until in alive]


@pytest.mark.parametrize("grace", [10, 20, 40])
def test_the_slow_schedule_that_ends_best_survives_where_stock_asha_kills_it(grace: int) -> None:
    best = min(FIELD, key=lambda until: measured(until, 1))
    rung = grace / STEPS
    assert best == max(FIELD, key=lambda until: measured(until, rung))  # the worst at the rung
    assert best not in survivors_of_stock_asha(grace)
    assert best in survivors(Stopping("late_cut", (rung,), 3, 3, 0.0, 0))
    marks = tuple(m for m in (rung, 3 * rung) if m < 1)
    assert best in survivors(Stopping("asha", marks, 3, 3, 0.0, 0))


def test_on_clean_data_the_worse_are_stopped() -> None:
    # 0.0 to 0.6 report in turn, each better than all before; then from the best to the worst
    assert survivors(cut()) == FIELD
    stopping = cut()
    actions = [
        action(evaluated(stopping, run(k), 40, measured(until, 2 / 3), until))
        for k, until in enumerate(FIELD[::-1])
    ]
    assert actions == ["skip", "continue", "continue", *["stop"] * 5]
