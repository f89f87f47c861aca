"""Rung arithmetic by hand and against Optuna's rule."""

import itertools
import math

import numpy as np
import optuna
import pytest
from tests.search.policy.worlds import about, value

from mollitune.search.policy.comparability import Comparability, UnlikeValuesError, Value, age_of
from mollitune.search.policy.rungs import RungDecision, Rungs


def rung(eta: float = 3, least: int = 3) -> Rungs:
    return Rungs((0.5,), eta, least)


def kept(rungs: Rungs, fids: list[float]) -> list[bool]:
    return [rungs.judge(0, value(fid)).action == "continue" for fid in fids]


def test_a_rung_is_passed_once() -> None:
    rungs = Rungs(marks=(0.25, 0.5), eta=2, least=3)
    assert rungs.passed(0.0, 0.2) is None
    assert rungs.passed(0.2, 0.25) == 0
    assert rungs.passed(0.25, 0.4) is None
    assert rungs.passed(0.4, 0.6) == 1
    assert rungs.passed(0.0, 0.9) == 1  # the lower rung is never filled later
    assert rungs.passed(0.6, 0.4) is None
    assert Rungs((), 3, 3).passed(0, 1) is None
    # an evaluation a hair before the rung takes it
    rungs = Rungs(marks=(0.6667,), eta=3, least=3)
    assert rungs.passed(0.5, 0.66666) == 0
    assert rungs.passed(0.66666, 0.8333) is None
    assert rungs.passed(0.5, 0.65) is None


def test_thirds_by_hand() -> None:
    rungs = rung()
    few = "fewer than 3 values on this rung"
    best = "among the best 1/3 of this rung"
    assert rungs.judge(0, value(30)) == RungDecision("continue", few, None, 1)
    assert rungs.judge(0, value(10)) == RungDecision("continue", few, None, 2)
    # 10 20 30: the quantile 1/3 lies 2/3 of the way from 10 to 20
    assert rungs.judge(0, value(20)) == RungDecision("stop", f"not {best}", about(10 + 20 / 3), 3)
    # 10 14 20 30: the quantile is the second value, 14 itself
    assert rungs.judge(0, value(14)) == RungDecision("continue", best, about(14), 4)
    # 10 14 16 20 30: a third of the way from 14 to 16
    assert rungs.judge(0, value(16)) == RungDecision("stop", f"not {best}", about(14 + 2 / 3), 5)


def test_halves_by_hand() -> None:
    rungs = rung(eta=2, least=2)
    assert rungs.judge(0, value(8)).cutoff is None
    assert rungs.judge(0, value(4)) == RungDecision(
        "continue", "among the best 1/2 of this rung", 6, 2
    )
    assert rungs.judge(0, value(6)).cutoff == 6  # 4 6 8: the median, which goes on
    last = rungs.judge(0, value(7))  # 4 6 7 8: the median is 6.5
    assert (last.action, last.cutoff, last.competitors) == ("stop", 6.5, 4)


@pytest.mark.parametrize("eta", [2, 3, 4])
def test_optunas_rule_agrees_where_the_rung_divides(eta: int) -> None:
    """Optuna keeps floor(n / eta) of n, but at least one; here it is the ceiling."""
    fids = np.random.default_rng(eta).permutation(60).astype(float)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=eta)
    study = optuna.create_study(pruner=pruner)
    rungs, agreed, lenient = rung(eta, least=1), 0, 0
    for n, fid in enumerate(fids, start=1):
        trial = study.ask()
        trial.report(fid, step=1)
        theirs = not trial.should_prune()
        ours = rungs.judge(0, value(fid)).action == "continue"
        if n <= eta or n % eta == 0:
            assert ours == theirs
            agreed += ours
        else:
            assert ours >= theirs
            lenient += ours > theirs
    assert agreed
    assert lenient


def test_nobody_is_stopped_among_equals_whatever_the_order() -> None:
    assert all(kept(rung(), [5.0] * 20))
    for order in set(itertools.permutations([5.0, 5.0, 5.0, 9.0])):
        survives = kept(rung(least=2), list(order))
        assert all(s for s, fid in zip(survives, order, strict=True) if fid == 5)


@pytest.mark.parametrize("fid", [math.nan, math.inf])
def test_what_is_no_number_stops_and_is_not_recorded(fid: float) -> None:
    rungs = rung(least=2)
    assert rungs.judge(0, value(fid)) == RungDecision("stop", "the value is not finite", None, 0)
    assert rungs.judge(0, value(9.0)).competitors == 1
    assert rungs.judge(0, value(fid)).competitors == 1


def test_a_protected_value_goes_on_but_counts() -> None:
    rungs = rung(least=2)
    rungs.judge(0, value(10))
    assert rungs.judge(0, value(90), "baseline") == RungDecision(
        "continue", "baseline", about(10 + 80 / 3), 2
    )
    # 10 16 90, and without the baseline 10 16 would have put the cutoff at 12
    assert rungs.judge(0, value(16)).cutoff == about(14)
    assert rungs.judge(0, value(math.nan), "baseline") == RungDecision(
        "continue", "baseline", None, 3
    )


@pytest.mark.parametrize("other", [value(99, model="glow"), value(99, step=50)])
def test_models_and_ages_have_rungs_of_their_own(other: Value) -> None:
    rungs = rung(least=2)
    kept(rungs, [1.0, 2.0, 3.0])
    assert rungs.judge(0, other).competitors == 1
    assert rungs.judge(1, value(99)).competitors == 1  # nor do rungs share values
    assert rungs.judge(0, value(99)).action == "stop"


def test_one_age_has_one_rung_whatever_the_steps() -> None:
    """Unlike batches take unlike steps for equally many images."""
    rungs = rung(least=2)
    for progress in (213 / 320, 320 / 480):
        found = rungs.judge(0, Value(1.0, "clean", Comparability("vae", age_of(progress))))
    assert found.competitors == 2


@pytest.mark.parametrize("fid", [99.0, math.nan])
def test_a_value_measured_in_another_way_is_refused(fid: float) -> None:
    rungs = rung(least=2)
    kept(rungs, [1.0, 2.0, 3.0])
    fewer = Value(fid, "clean", Comparability("vae", value(1).like.age, samples=500))
    with pytest.raises(UnlikeValuesError, match="samples 0 and 500 cannot be ranked"):
        rungs.judge(0, fewer)
    assert rungs.judge(0, value(1)).competitors == 4  # the refused one is not there
