import numpy as np
import pandas as pd
import pytest
from tests.analysis.conftest import TRIALS, YOUNG, FakeTrial, Search

from mollitune.analysis import Results
from mollitune.analysis.report.data import (
    failures,
    fid_curves,
    level_curves,
    shape_points,
    stopping_summary,
)
from mollitune.schedules import build


def test_fid_curve_of_a_mollified_trial(results: Results) -> None:
    curve = fid_curves(results, "glow")[2]
    assert (curve.trial, curve.family) == (2, "sigmoid")
    assert curve.steps == [200, 400, 600, 800, 1000]
    assert curve.fids == [TRIALS[2].report(p)["fid"] for p in (0.2, 0.4, 0.6, 0.8, 1.0)]
    assert curve.clean == [False, False, True, True, True]
    assert curve.comparable == [False] * 4 + [True]


def test_curves_are_of_one_model_and_of_the_search(results: Results) -> None:
    assert [c.trial for c in fid_curves(results, "glow")] == [0, 1, 2, 3, 4, 5]
    assert [c.trial for c in fid_curves(results, "vae")] == [6, 7]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_values_that_are_not_finite_are_left_out(search: Search, value: float | None) -> None:
    row = {**TRIALS[0].report(0.4), "fid": value}
    (curve,) = fid_curves(search(TRIALS[0], reports=[row]), "glow")
    assert curve.steps == [200, 600, 800, 1000]


def test_level_curves_are_relative_to_their_start(results: Results) -> None:
    curves = {curve.configuration: curve for curve in level_curves(results, "glow")}
    assert set(curves) == {1, 2, 3, 4, 5}  # vanilla has no curve
    linear, blur = curves[1], curves[3]
    assert (linear.level[0], blur.level[0]) == (1.0, 1.0)
    assert linear.level == pytest.approx(np.clip(1 - np.array(linear.progress) / 0.5, 0, 1))
    assert (linear.fid, curves[4].fid) == (25.0, None)


def test_family_that_is_not_registered_has_no_curve(search: Search) -> None:
    unknown = {**TRIALS[1].row(), "family": "stairs"}
    assert level_curves(search(*TRIALS[:2], ended=[unknown]), "glow") == []


def test_stopping_summary(results: Results) -> None:
    summary = stopping_summary(results, "glow")
    assert (summary.trials, summary.stopped) == (6, 1)
    assert summary.saved == pytest.approx(0.4 / 6)
    table = summary.rungs.set_index("rung")
    assert set(table["policy"]) == {"asha"}
    assert table["judged"].tolist() == [6, 5, 5, 4, 4]
    assert table["stop"].tolist() == [0, 0, 1, 0, 0]
    assert table["skip"].tolist() == [5, 3, 0, 0, 0]
    assert (table["continue"] + table["stop"] + table["skip"]).equals(table["judged"])
    assert table["progress"].tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert set(table["cutoff"]) == {40.0}


def test_stopping_summary_without_decisions(search: Search) -> None:
    summary = stopping_summary(search(YOUNG), "glow")
    assert (summary.stopped, summary.saved, len(summary.rungs)) == (0, 0.0, 0)
    assert "cutoff" in summary.rungs


def test_failures(search: Search) -> None:
    cut = FakeTrial(20, build("vanilla"), 30.0, status="interrupted", end=0.4)
    shaky = FakeTrial(21, build("vanilla"), 30.0, non_finite=2)
    found = failures(search(*TRIALS, cut, shaky), "glow")
    columns = ["trial", "status", "step", "non_finite", "error"]
    wanted = [
        (5, "failed", 200, 3, "no <memory>"),
        (20, "interrupted", 400, 0, None),
        (21, "completed", 1000, 2, None),
    ]
    rows = found[columns].itertuples(index=False, name=None)
    assert [tuple(None if pd.isna(v) else v for v in row) for row in rows] == wanted
    assert failures(search(*TRIALS[:2]), "glow").empty


def test_rungs_of_a_race_and_of_the_rule_inside_it_are_apart(search: Search) -> None:
    promoted = {"policy": "race", "action": "promote", "step": 1001}
    rows = [{**trial.decision(0, 1.0), **promoted} for trial in TRIALS[1:3]]
    rungs = stopping_summary(search(*TRIALS[:3], decisions=rows), "glow").rungs
    race, asha = (rungs[rungs["policy"] == name].iloc[0] for name in ("race", "asha"))
    assert [race[name] for name in ("rung", "judged", "promote", "stop")] == [0, 2, 2, 0]
    assert [asha[name] for name in ("rung", "judged", "promote")] == [0, 3, 0]


def test_shape_points(search: Search) -> None:
    again = TRIALS[1].again(number=20, final=29.0, seed=8)
    points = shape_points(search(*TRIALS[:3], again), "glow")
    assert [p.configuration for p in points] == [2, 1, 0]
    linear = points[1]
    assert (linear.trials, linear.seeds, linear.fids) == ([1, 20], [7, 8], [25.0, 29.0])
    assert linear.area == pytest.approx(0.25)
    assert linear.expected == 27.0
    assert linear.low < 27 < linear.high


def test_no_shape_points_where_values_are_unlike(unlike: Results) -> None:
    assert shape_points(unlike, "glow") == []
    assert all(curve.fid is None for curve in level_curves(unlike, "glow"))


def test_configuration_whose_trial_is_not_written_yet_has_no_point(search: Search) -> None:
    early = FakeTrial(9, build("linear", until=0.2), 22.0).report(1.0)
    points = shape_points(search(*TRIALS[:3], reports=[early]), "glow")
    assert [point.configuration for point in points] == [2, 1, 0]
