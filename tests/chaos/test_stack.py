"""Trials that share a process end as trials that have one each, whatever is killed on the way."""

import shutil
from typing import Any

import pytest
from tests.chaos import faulty
from tests.chaos.searches import Searches, assert_same_tables

pytestmark = pytest.mark.slow
SMALL = {"scales": 1, "hidden": 4, "blocks": 0}
CONFIG: dict[str, Any] = {
    "model": [{"name": "vae", "steps": 24}, {"name": "realnvp", "steps": 12, "hparams": SMALL}],
    "families": ["linear", "sigmoid", "blur"],
    "sampler": "random",
    "trials": 12,
    "stopping": {"policy": "late_cut", "audit": 0},
    "fid": {"samples": 60, "every": 0.25},
}


def test_a_search_of_stacks_is_that_of_single_trials(searches: Searches) -> None:
    """Its driver is killed, and so are the stacks with it; they are filled anew."""
    resources = {"checkpoint_seconds": 0, "stack": 4}
    searches.run("search", searches.config("single", workers=1, **CONFIG))
    searches.config("stacked", workers=1, resources=resources, **CONFIG)
    searches.killed_on_the_way("search", "stacked", kills=1, seed=0)
    searches.assert_each_row_once("stacked")
    assert "stopped" in set(searches.results("stacked").trials["status"])  # single ones of them
    # to the rounding of the arithmetic
    assert_same_tables(searches.results("stacked"), searches.results("single"), rtol=2e-3)


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
        fid={"samples": 60, "every": 0.2},
        resources={"checkpoint_seconds": 0, "retries": 1, "stack": 3},
    )
    searches.run("search", config)
    results = searches.results("fallen")
    assert set(results.trials["status"]) == {"completed"}
    assert results.trials["attempt"].tolist() == [2] * 3 + [1] * 9
    for _, reports in results.reports.groupby("trial"):
        assert reports["step"].tolist() == [2, 4, 6, 8, 9, 10]
