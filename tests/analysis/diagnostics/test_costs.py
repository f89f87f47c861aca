import math
from datetime import timedelta

import pytest
from tests.analysis.conftest import START, TRIALS, YOUNG, FakeTrial, Search

from mollitune.analysis import Results
from mollitune.analysis.diagnostics import costs
from mollitune.schedules import build

TRIAL = FakeTrial(0, build("vanilla"), 30.0)


def test_runs_are_counted_per_model_and_stage(results: Results) -> None:
    table = costs(results)
    groups = list(zip(table["model"], table["stage"], table["trials"], strict=True))
    assert groups == [("glow", "search", 6), ("glow", "confirm", 1), ("vae", "search", 2)]
    glow = table.iloc[0]
    assert (glow["completed"], glow["stopped"], glow["failed"]) == (4, 1, 1)
    statuses = ["completed", "stopped", "failed", "interrupted", "running"]
    assert (table[statuses].sum(axis=1) == table["trials"]).all()


def test_steps_hours_and_what_stopping_saved(results: Results) -> None:
    """Four whole runs of 1,000 steps at 10 ms, one stopped at 600 and one that failed at 200."""
    glow = costs(results).iloc[0]
    assert (glow["steps"], glow["steps_saved"], glow["branch_steps"]) == (4800, 400, 0)
    evaluations = 4 * 5 + 3 + 1
    assert glow["evaluations"] == evaluations
    assert glow["training_hours"] == pytest.approx(48 / 3600)
    assert glow["evaluation_hours"] == pytest.approx(1.5 * evaluations / 3600)
    assert glow["evaluation_share"] == pytest.approx(36 / (48 + 36))
    assert glow["step_seconds"] == pytest.approx(0.01)
    assert glow["wall_hours"] == pytest.approx(5 / 60)
    assert glow["device"] == "cpu"


def test_every_stretch_counts_with_its_own_speed_and_branches_too(search: Search) -> None:
    first = {**TRIAL.report(0.2), "step_seconds": 1.0, "device": "b"}
    branch = {"probe_steps": 100, "probe_fid": 30.0}
    second = {**TRIAL.report(0.6), "step_seconds": 2.0, "device": "a", **branch}
    row = costs(search(reports=[first, second], ended=[TRIAL.row()])).iloc[0]
    assert row["training_hours"] == pytest.approx((200 * 1 + 400 * 2 + 100 * 2) / 3600)
    assert row["step_seconds"] == pytest.approx(1200 / 700)
    assert (row["branch_steps"], row["device"]) == (100, "a, b")


def test_times_that_are_not_known_count_nothing(search: Search) -> None:
    unknown = {**TRIAL.report(0.4), "step_seconds": math.nan, "eval_seconds": math.nan}
    ended = [{**TRIAL.row(), "step": 400}]
    row = costs(search(reports=[TRIAL.report(0.2), unknown], ended=ended)).iloc[0]
    assert row["steps"] == 400
    assert row["training_hours"] == pytest.approx(2 / 3600)
    assert row["step_seconds"] == pytest.approx(0.01)
    assert row["evaluation_hours"] == pytest.approx(1.5 / 3600)


def test_a_running_search_counts_as_far_as_it_has_reported(search: Search) -> None:
    """The table of trials still says step 0, and of the last run nothing at all."""
    known, unknown = (TRIAL.again(number=i, status="running") for i in (0, 1))
    rows = [known.report(0.2), unknown.report(0.4)]
    table = costs(search(reports=rows, ended=[{**known.row(), "step": 0}]))
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["trials"], row["running"], row["steps"]) == (2, 2, 600)
    last = timedelta(seconds=100 + 0.4)
    assert row["wall_hours"] == pytest.approx(last.total_seconds() / 3600)


def test_before_the_first_evaluation(search: Search) -> None:
    row = costs(search(YOUNG)).iloc[0]
    assert (row["trials"], row["steps"], row["evaluations"], row["device"]) == (1, 0, 0, "")
    assert (row["training_hours"], row["evaluation_hours"], row["wall_hours"]) == (0, 0, 0)
    assert math.isnan(row["evaluation_share"])
    assert math.isnan(row["step_seconds"])


def test_columns_have_the_same_types_with_and_without_rows(
    search: Search, results: Results
) -> None:
    empty = costs(search(decisions=[TRIALS[1].decision(0, 0.2)]))
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == costs(results).dtypes.to_dict()


def test_pauses_count_as_wall_time(search: Search) -> None:
    later = {"start": START + timedelta(hours=10), "end": START + timedelta(hours=11)}
    row = {**TRIAL.again(number=1).row(), **later}
    assert costs(search(TRIALS[0], ended=[row]))["wall_hours"].tolist() == [11.0]
