"""Trials that go wrong are tried again from their checkpoints, then given up; the rest goes on."""

import shutil
from typing import Any

import pandas as pd
import pytest
from tests.chaos import faulty
from tests.chaos.searches import Searches

pytestmark = pytest.mark.slow
MODELS = ["Hanging", "OutOfGpuMemory", "Killed", "Damaging", "Slow", "Healthy", "Buggy"]
HANG_SECONDS = 9  # a step may take seconds on a busy machine
# evaluated after steps 2, 4, ... 10, with a checkpoint after each step; they go wrong in step 8
CONFIG: dict[str, Any] = {
    "families": ["vanilla"],
    "trials": len(MODELS),
    "workers": 2,
    "steps": 10,
    "stopping": {"policy": "none"},
    "fid": {"samples": 60, "every": 0.2},
    "resources": {
        **{"cpu": 0.5, "checkpoint_seconds": 0, "retries": 1, "hang_seconds": HANG_SECONDS},
    },
}


def model(searches: Searches, number: int, name: str) -> dict[str, Any]:
    hparams = {"log": str(searches.folder / f"{name}.log")}
    if name == "Damaging":
        folder = searches.folder / "results" / "faults" / "checkpoints"
        hparams["checkpoints"] = str(folder / f"{number:04d}-*.pt")
    return {"name": f"faulty:{name}", "hparams": hparams}


@pytest.fixture(scope="module")
def printed(searches: Searches) -> str:
    shutil.copy(faulty.__file__, searches.folder)
    models = [model(searches, i, name) for i, name in enumerate(MODELS)]
    return searches.run("search", searches.config("faults", model=models, **CONFIG))


@pytest.fixture
def trials(searches: Searches, printed: str) -> pd.DataFrame:
    frame = searches.results("faults").trials
    return frame.set_index(frame["model"].str.removeprefix("faulty:"))


def steps(searches: Searches, name: str) -> int:
    """Training steps that a trial made in all its attempts."""
    return len((searches.folder / f"{name}.log").read_text().split())


@pytest.mark.parametrize(
    ("name", "attempts", "made"),
    [
        ("Healthy", 1, 10),
        ("Slow", 1, 10),
        ("Killed", 2, 8 + 3),  # into step 8, then from the checkpoint of step 7
        ("Damaging", 2, 8 + 4),  # from the one before
    ],
)
def test_a_fault_costs_an_attempt_and_the_steps_since_the_checkpoint(
    searches: Searches, trials: pd.DataFrame, name: str, attempts: int, made: int
) -> None:
    row = trials.loc[name]
    assert row["status"] == "completed"
    assert pd.isna(row["error"])
    assert (row["attempt"], steps(searches, name)) == (attempts, made)


def test_a_hanging_trial_is_killed_and_then_given_up(
    searches: Searches, trials: pd.DataFrame
) -> None:
    row = trials.loc["Hanging"]
    assert (row["status"], row["attempt"], row["step"]) == ("failed", 2, 6)
    assert row["error"].startswith(
        f"hung: no training step and no batch of an evaluation for {HANG_SECONDS} s"
    )
    assert steps(searches, "Hanging") == 8 + 1


def test_memory_that_is_too_small_is_the_reason(searches: Searches, trials: pd.DataFrame) -> None:
    row = trials.loc["OutOfGpuMemory"]
    # in step 2, then in step 3
    assert (row["status"], row["attempt"], row["step"]) == ("failed", 2, 2)
    assert row["error"].startswith("torch.OutOfMemoryError: CUDA out of memory. Tried to")
    assert "\n" not in row["error"]
    assert steps(searches, "OutOfGpuMemory") == 4


def test_the_search_goes_on_and_says_what_failed(searches: Searches, printed: str) -> None:
    results = searches.results("faults")
    assert results.metadata["status"] == "finished"
    (line,) = [line for line in printed.splitlines() if "trials failed" in line]
    assert line.startswith("3 trials failed: 1 with ")
    for part in ("hung: ", "CUDA out of memory", "KeyError: 'late'"):
        assert part in line
    assert "Traceback" not in printed
    searches.assert_each_row_once("faults")


def test_a_mistake_is_made_once_and_its_traceback_is_kept(
    searches: Searches, trials: pd.DataFrame
) -> None:
    row = trials.loc["Buggy"]
    assert (row["status"], row["attempt"], row["step"]) == ("failed", 1, 2)
    assert steps(searches, "Buggy") == 4
    told = searches.folder / "results" / "faults" / "failures" / f"{row['trial']:04d}.txt"
    assert 'raise KeyError("late")' in told.read_text()


def test_each_fault_is_told_in_a_line(searches: Searches, printed: str) -> None:
    lines = printed.splitlines()
    again = "tried again (retry 1 of 1)"
    killed, damaging = (f"trial {MODELS.index(name)}" for name in ("Killed", "Damaging"))
    for trial, step in ((killed, 7), (damaging, 6)):
        assert f"{trial}: going on from step {step}" in lines
    assert any(line.startswith(f"{killed}: its process was") and again in line for line in lines)
    assert any(
        line.startswith("trial 0: hung: no training step") and again in line for line in lines
    )
    folder = searches.folder / "results" / "faults" / "failures"
    assert "MemoryError" in (folder / f"{MODELS.index('Damaging'):04d}.txt").read_text()


def test_a_search_in_which_all_failed_is_failed(searches: Searches, printed: str) -> None:
    buggy = {"name": "faulty:Buggy", "hparams": {"log": str(searches.folder / "all.log")}}
    config = searches.config("all", **{**CONFIG, "model": [buggy], "trials": 2, "workers": 1})
    lines = searches.run("search", config, code=1).splitlines()
    assert searches.results("all").metadata["status"] == "failed"
    assert "2 trials failed: 2 with KeyError: 'late'" in lines
    assert "tracebacks: results/all/failures" in lines
    assert len(lines) < 20
