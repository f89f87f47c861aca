"""Early stopping by hand-worked numbers, and against the rule that it replaces."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import TrialScheduler

from mollitune.schedules import Linear, Schedule, Vanilla
from mollitune.search.config import StoppingConfig
from mollitune.search.stopping import CleanASHA, Rungs

STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE
STEPS = 60


def row(fid: float, phase: str = "clean", model: str = "vae", step: int = 40) -> dict[str, Any]:
    return {"fid": fid, "phase": phase, "model": model, "step": step}


def report(
    asha: CleanASHA,
    trial: int,
    step: int,
    fid: float,
    schedule: Schedule | None = None,
    model: str = "vae",
) -> str:
    """Hand a result to the scheduler as Ray does; of Ray's trial it reads only the config."""
    schedule = schedule or Linear(until=0.5)
    progress = step / STEPS
    phase = "mollified" if schedule.mollified(progress) else "clean"
    ray_trial = SimpleNamespace(
        config={"trial": trial, "model": model, "schedule": schedule.to_dict()}
    )
    result = {"step": step, "progress": progress, "fid": fid, "phase": phase}
    return asha.on_trial_result(None, ray_trial, result)


@pytest.mark.parametrize(
    ("grace", "eta", "marks"),
    [
        (0.25, 2, (0.25, 0.5)),
        (0.1, 3, (0.1, 0.3, 0.9)),
        (2 / 3, 3, (2 / 3,)),
        (1.0, 3, ()),
    ],
)
def test_rungs_lie_a_factor_apart_and_before_the_end(
    grace: float, eta: float, marks: tuple[float, ...]
) -> None:
    assert Rungs(grace, eta, 3).marks == pytest.approx(marks)


def test_a_rung_is_passed_once() -> None:
    rungs = Rungs(grace=0.25, eta=2, min_competitors=3)
    assert rungs.passed(0.0, 0.2) is None
    assert rungs.passed(0.2, 0.25) == 0
    assert rungs.passed(0.25, 0.4) is None
    assert rungs.passed(0.4, 0.6) == 1
    assert rungs.passed(0.0, 0.9) == 1  # the lower rung is never filled later
    assert rungs.passed(0.6, 0.4) is None


def test_an_evaluation_a_hair_before_the_rung_takes_it() -> None:
    rungs = Rungs(grace=0.6667, eta=3, min_competitors=3)
    assert rungs.passed(0.5, 0.66666) == 0
    assert rungs.passed(0.66666, 0.8333) is None
    assert rungs.passed(0.5, 0.65) is None


def test_rung_arithmetic_by_hand() -> None:
    rungs = Rungs(grace=2 / 3, eta=3, min_competitors=3)
    few = "fewer than 3 values on this rung"
    assert rungs.judge(0, row(30), False) == ("continue", few, None)
    assert rungs.judge(0, row(10), False) == ("continue", few, None)
    # 10 20 30: the quantile 1/3 lies 2/3 of the way from 10 to 20
    action, reason, cutoff = rungs.judge(0, row(20), False)
    assert (action, reason) == ("stop", "not among the best 1/3 of this rung")
    assert cutoff == pytest.approx(10 + 20 / 3)
    # 10 14 20 30: the quantile is the second value, 14 itself
    action, reason, cutoff = rungs.judge(0, row(14), False)
    assert (action, reason) == ("continue", "among the best 1/3 of this rung")
    assert cutoff == pytest.approx(14)
    # 10 14 16 20 30: a third of the way from 14 to 16
    action, _, cutoff = rungs.judge(0, row(16), False)
    assert action == "stop"
    assert cutoff == pytest.approx(14 + 2 / 3)
    assert rungs.competitors(0, row(0)) == 5


def test_a_mollified_value_is_skipped_and_never_a_competitor() -> None:
    rungs = Rungs(grace=0.5, eta=3, min_competitors=2)
    for fid in (1.0, 2.0, math.nan):
        action, reason, cutoff = rungs.judge(0, row(fid, phase="mollified"), False)
        assert (action, cutoff) == ("skip", None)
        assert "still mollified" in reason
    assert rungs.competitors(0, row(0)) == 0
    assert rungs.judge(0, row(50), False)[0] == "continue"  # alone in spite of the three
    assert rungs.competitors(0, row(0)) == 1


@pytest.mark.parametrize("other", [{"model": "realnvp"}, {"step": 41}])
def test_values_of_another_model_or_step_are_no_competitors(other: dict[str, Any]) -> None:
    rungs = Rungs(grace=0.5, eta=3, min_competitors=2)
    for fid in (1.0, 2.0, 3.0):
        rungs.judge(0, row(fid), False)
    assert rungs.judge(0, row(99, **other), False)[0] == "continue"
    assert rungs.competitors(0, row(99, **other)) == 1
    assert rungs.judge(0, row(99), False)[0] == "stop"


def test_vanilla_is_never_stopped_but_counts() -> None:
    rungs = Rungs(grace=0.5, eta=3, min_competitors=2)
    rungs.judge(0, row(10), False)
    action, reason, cutoff = rungs.judge(0, row(90), True)
    assert (action, reason) == ("continue", "vanilla is the baseline and is never stopped")
    assert cutoff == pytest.approx(10 + 80 / 3)
    assert rungs.competitors(0, row(0)) == 2
    # 10 20 90, and without vanilla 10 20 would have put the cutoff at 13.3
    assert rungs.judge(0, row(16), False)[2] == pytest.approx(10 + 6 * 2 / 3)


def test_a_non_finite_value_on_clean_data_is_stopped_and_not_recorded() -> None:
    rungs = Rungs(grace=0.5, eta=3, min_competitors=2)
    for fid in (math.nan, math.inf):
        assert rungs.judge(0, row(fid), False) == ("stop", "FID is not finite on clean data", None)
    assert rungs.competitors(0, row(0)) == 0


def test_decisions_say_what_was_seen() -> None:
    asha = CleanASHA(StoppingConfig(grace=2 / 3, min_competitors=2))
    assert report(asha, 0, 30, fid=80) == CONTINUE  # no rung here
    assert report(asha, 0, 40, fid=10) == CONTINUE
    assert report(asha, 1, 40, fid=20) == STOP
    assert report(asha, 2, 40, fid=5, schedule=Linear(until=0.9)) == CONTINUE
    kept, stopped, skipped = asha.take_decisions()
    assert (kept.trial, kept.action, kept.competitors, kept.cutoff) == (0, "continue", 1, None)
    assert (stopped.trial, stopped.action, stopped.value, stopped.competitors) == (
        1,
        "stop",
        20,
        2,
    )
    assert stopped.cutoff == pytest.approx(10 + 10 / 3)
    assert (stopped.step, stopped.rung, stopped.phase) == (40, 0, "clean")
    assert stopped.progress == pytest.approx(2 / 3)
    assert (skipped.action, skipped.phase, skipped.competitors) == ("skip", "mollified", 2)
    assert asha.take_decisions() == []


def test_a_mollified_value_is_not_filled_in_later() -> None:
    asha = CleanASHA(StoppingConfig(grace=0.5, min_competitors=2))
    slow = Linear(until=0.7)
    assert report(asha, 0, 30, fid=1, schedule=slow) == CONTINUE
    assert report(asha, 0, 50, fid=1, schedule=slow) == CONTINUE  # clean now, but past the rung
    assert report(asha, 1, 30, fid=70) == CONTINUE
    assert [(d.trial, d.action) for d in asha.take_decisions()] == [(0, "skip"), (1, "continue")]


def test_an_evaluation_that_is_run_again_is_not_judged_twice() -> None:
    asha = CleanASHA(StoppingConfig(grace=0.5, min_competitors=3))
    assert report(asha, 0, 30, fid=10) == CONTINUE
    for step in (10, 20, 30):  # the worker died, and the trial went on from an older checkpoint
        assert report(asha, 0, step, fid=10) == CONTINUE
    assert len(asha.take_decisions()) == 1
    report(asha, 1, 30, fid=20)
    (decision,) = asha.take_decisions()
    assert decision.competitors == 2


def test_the_last_evaluation_and_a_failed_trial_are_not_judged() -> None:
    asha = CleanASHA(StoppingConfig(grace=0.5, min_competitors=2))
    assert report(asha, 0, STEPS, fid=10) == CONTINUE
    ray_trial = SimpleNamespace(config={"trial": 1})
    failed = {"failure": "diverged", "done": True, "step": 30}
    assert asha.on_trial_result(None, ray_trial, failed) == CONTINUE
    assert asha.take_decisions() == []


def test_models_do_not_compete() -> None:
    asha = CleanASHA(StoppingConfig(grace=0.5, min_competitors=2))
    for trial, model in enumerate(["vae", "realnvp"] * 2):
        fid = (1.0 if model == "vae" else 100.0) + trial
        report(asha, trial, 30, fid, model=model)
    assert [d.action for d in asha.take_decisions()] == ["continue", "continue", "stop", "stop"]


def test_policy_none_stops_nobody() -> None:
    asha = CleanASHA(StoppingConfig(policy="none", grace=0.5, min_competitors=2))
    for trial in range(6):
        for step in (30, 40, 60):
            assert report(asha, trial, step, fid=trial) == CONTINUE
    assert report(asha, 9, 30, fid=math.nan) == CONTINUE
    assert asha.take_decisions() == []


def stock_asha(values: list[float], fid: float, eta: float = 3) -> bool:
    """Ray's rule for one rung: whether a value is stopped, given those that came before it."""
    stopped = bool(values) and fid > float(np.quantile(values, 1 / eta))
    values.append(fid)
    return stopped


def measured(schedule: Schedule, progress: float) -> float:
    """FID as a noise meter: the slower the schedule the better in the end, but noise adds."""
    final = 60 - 50 * schedule.until
    return final + 30 * (1 - progress) + 300 * schedule.level(progress)


# the slowest, which ends best, reports last
FIELD: list[Schedule] = [Vanilla(), *(Linear(until=k / 10) for k in range(1, 7))]
EVALUATIONS = (10, 20, 30, 40, 50, 60)


def survivors_of_stock_asha(grace: float) -> list[Schedule]:
    marks, rungs = Rungs(grace, 3, 3).marks, Rungs(grace, 3, 3)
    values: list[list[float]] = [[] for _ in marks]
    alive = list(FIELD)
    for before, step in zip((0, *EVALUATIONS), EVALUATIONS, strict=False):
        rung = rungs.passed(before / STEPS, step / STEPS)
        if rung is not None:
            alive = [s for s in alive if not stock_asha(values[rung], measured(s, step / STEPS))]
    return alive


def survivors_of_clean_asha(grace: float, field: list[Schedule]) -> list[Schedule]:
    asha = CleanASHA(StoppingConfig(grace=grace))
    alive = list(enumerate(field))
    for step in EVALUATIONS:
        alive = [
            (trial, s)
            for trial, s in alive
            if report(asha, trial, step, measured(s, step / STEPS), s) == CONTINUE
        ]
    return [schedule for _, schedule in alive]


@pytest.mark.parametrize("grace", [1 / 6, 1 / 3, 2 / 3])
def test_where_fid_measures_noise_the_best_schedule_survives(grace: float) -> None:
    best = min(FIELD, key=lambda s: measured(s, 1))
    assert best == FIELD[-1]
    alive = survivors_of_clean_asha(grace, FIELD)
    assert best in alive
    assert Vanilla() in alive
    if grace < 0.6:  # the rungs at which the best is still mollified
        assert best not in survivors_of_stock_asha(grace)


def test_clean_asha_does_stop_the_worse_on_clean_data() -> None:
    best_first = FIELD[::-1]
    alive = survivors_of_clean_asha(2 / 3, best_first)
    # the first two meet no rung of three values; of the others only the baseline goes on
    assert alive == [*best_first[:2], Vanilla()]


def test_a_schedule_still_mollified_at_the_last_rung_can_win() -> None:
    slow = Linear(until=0.9)
    alive = survivors_of_clean_asha(2 / 3, [*FIELD, slow])
    assert slow in alive
    assert min(alive, key=lambda s: measured(s, 1)) == slow


def test_the_rungs_are_shown() -> None:
    text = CleanASHA(StoppingConfig(grace=0.25, reduction_factor=2)).debug_string()
    assert text == "CleanASHA with rungs at progress (0.25, 0.5)"
