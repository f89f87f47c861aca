"""Trials that share a process end as trials that have one each, whatever is killed on the way."""

import random
import shutil
from typing import Any

import pandas as pd
from tests.chaos import faulty
from tests.chaos.searches import OF_A_MOMENT, Searches

from mollitune.analysis import Results
from mollitune.search.store.schema import KEYS

KILLS = 3
CONFIG: dict[str, Any] = {
    "model": [{"name": "vae", "steps": 24}, {"name": "realnvp", "steps": 12}],
    "families": ["linear", "sigmoid", "blur"],
    "sampler": "random",
    "trials": 16,
    "stopping": {"policy": "none"},
    "fid": {"samples": 60, "every": 0.25, "budget": None},
}


def assert_alike(found: Results, wanted: Results) -> None:
    """All rows, and all columns but those of the moment, to the rounding of the arithmetic."""
    for name in KEYS:
        one, two = (
            getattr(results, name)
            .drop(columns=OF_A_MOMENT, errors="ignore")
            .sort_values(list(KEYS[name])[1:])
            .reset_index(drop=True)
            for results in (found, wanted)
        )
        pd.testing.assert_frame_equal(one, two, rtol=2e-3)
        written = getattr(found, name)
        assert not written.duplicated(list(KEYS[name])).any()


def test_a_search_of_stacks_is_that_of_single_trials(searches: Searches) -> None:
    """Its driver is killed, and so are the stacks with it; they are filled anew."""
    resources = {"checkpoint_seconds": 0, "stack": 4}
    searches.run("search", searches.config("single", workers=1, **CONFIG))
    config = searches.config("stacked", workers=1, resources=resources, **CONFIG)
    process, rng, kills = searches.start("search", config), random.Random(0), 0
    while kills < KILLS and searches.kill_on_the_way(process, "stacked", rng.uniform(0, 0.4)):
        kills += 1
        process = searches.start("resume", "stacked")
    text, _ = process.communicate()
    assert process.returncode == 0, text
    assert kills > 0
    assert_alike(searches.results("stacked"), searches.results("single"))


def test_a_stack_whose_process_is_killed_goes_on(searches: Searches) -> None:
    """From the checkpoints of its trials, each of which was started twice then."""
    shutil.copy(faulty.__file__, searches.folder)
    model = {"name": "faulty:Killed", "hparams": {"log": str(searches.folder / "Killed.log")}}
    config = searches.config(
        "fallen",
        model=[model],
        families=["vanilla"],
        sampler="random",
        trials=12,
        workers=1,
        steps=10,
        stopping={"policy": "none"},
        fid={"samples": 60, "every": 0.2, "budget": None},
        resources={"checkpoint_seconds": 0, "retries": 1, "stack": 3},
    )
    searches.run("search", config)
    results = searches.results("fallen")
    assert set(results.trials["status"]) == {"completed"}
    assert results.trials["attempt"].tolist() == [2] * 3 + [1] * 9
    for _, reports in results.reports.groupby("trial"):
        assert reports["step"].tolist() == [2, 4, 6, 8, 10]


def test_the_policy_stops_single_trials_of_a_stack(searches: Searches) -> None:
    values = {**CONFIG, "stopping": {"policy": "late_cut", "audit": 0}, "model": ["vae"]}
    resources = {"checkpoint_seconds": 0, "stack": 4}
    searches.run(
        "search", searches.config("cut", workers=1, steps=24, resources=resources, **values)
    )
    results = searches.results("cut")
    stopped = results.decisions[results.decisions["action"] == "stop"]["trial"]
    status = results.trials.set_index("trial")["status"]
    assert 0 < len(stopped) < len(status)
    assert set(stopped) == set(status.index[status == "stopped"])
    ends = results.reports.groupby("trial")["step"].max()
    assert {int(step) for step in ends[status == "completed"]} == {24}
    assert all(int(step) < 24 for step in ends[status == "stopped"])
