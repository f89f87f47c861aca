import math
from datetime import timedelta

import pytest
from tests.analysis.conftest import PARAMS, START, TRIALS, FakeTrial, MakeSearch

from mollitune.analysis import Results, load_results
from mollitune.analysis.diagnostics import costs
from mollitune.schedules import build
from mollitune.search.store.writer import Store

VANILLA = build("vanilla")


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


def test_every_stretch_counts_with_its_own_speed_and_branches_too(make_search: MakeSearch) -> None:
    location = make_search((), name="speeds")
    trial = FakeTrial(0, VANILLA, 30.0)
    with Store.open(location, PARAMS) as store:
        store.report({**trial.report(0.2), "step_seconds": 1.0, "device": "b"})
        branch = {"probe_steps": 100, "probe_fid": 30.0}
        store.report({**trial.report(0.6), "step_seconds": 2.0, "device": "a", **branch})
        store.trial(trial.row())
    row = costs(load_results(location)).iloc[0]
    assert row["training_hours"] == pytest.approx((200 * 1 + 400 * 2 + 100 * 2) / 3600)
    assert row["step_seconds"] == pytest.approx(1200 / 700)
    assert (row["branch_steps"], row["device"]) == (100, "a, b")


def test_times_that_are_not_known_count_nothing(make_search: MakeSearch) -> None:
    location = make_search((), name="unknown")
    trial = FakeTrial(0, VANILLA, 30.0)
    with Store.open(location, PARAMS) as store:
        store.report(trial.report(0.2))
        store.report({**trial.report(0.4), "step_seconds": math.nan, "eval_seconds": math.nan})
        store.trial({**trial.row(), "step": 400})
    row = costs(load_results(location)).iloc[0]
    assert row["steps"] == 400
    assert row["training_hours"] == pytest.approx(2 / 3600)
    assert row["step_seconds"] == pytest.approx(0.01)
    assert row["evaluation_hours"] == pytest.approx(1.5 / 3600)


def test_a_running_search_counts_as_far_as_it_has_reported(make_search: MakeSearch) -> None:
    """The table of trials still says step 0, and of the last run nothing at all."""
    location = make_search((), name="running")
    known, unknown = (FakeTrial(i, VANILLA, 30.0, status="running") for i in (0, 1))
    with Store.open(location, PARAMS) as store:
        store.report(known.report(0.2))
        store.report(unknown.report(0.4))
        store.trial({**known.row(), "step": 0})
    table = costs(load_results(location))
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["trials"], row["running"], row["steps"]) == (2, 2, 600)
    last = timedelta(seconds=100 + 0.4)
    assert row["wall_hours"] == pytest.approx(last.total_seconds() / 3600)


def test_before_the_first_evaluation(make_search: MakeSearch) -> None:
    location = make_search((FakeTrial(0, VANILLA, 30.0, status="running", end=0.0),), "early")
    row = costs(load_results(location)).iloc[0]
    assert (row["trials"], row["steps"], row["evaluations"], row["device"]) == (1, 0, 0, "")
    assert (row["training_hours"], row["evaluation_hours"], row["wall_hours"]) == (0, 0, 0)
    assert math.isnan(row["evaluation_share"])
    assert math.isnan(row["step_seconds"])


def test_columns_have_the_same_types_with_and_without_rows(make_search: MakeSearch) -> None:
    location = make_search((), name="none")
    with Store.open(location, PARAMS) as store:
        store.decision(TRIALS[1].decision(0, 0.2))
    empty = costs(load_results(location))
    assert len(empty) == 0
    full = costs(load_results(make_search()))
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_pauses_count_as_wall_time(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:1])
    with Store.open(location, PARAMS) as store:
        later = {"start": START + timedelta(hours=10), "end": START + timedelta(hours=11)}
        store.trial({**FakeTrial(1, VANILLA, 30.0).row(), **later})
    assert costs(load_results(location))["wall_hours"].tolist() == [11.0]
