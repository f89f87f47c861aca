"""A driver that is killed without warning, again and again, loses nothing and forgets nothing."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mollitune.analysis import Results, load_results
from mollitune.search.schema import KEYS

BIN = Path(sys.executable).parent / "mollitune"
# with one worker, where all must be equal; a quarter of them with two, where nothing may be lost
KILLS = int(os.environ.get("MOLLITUNE_CHAOS_KILLS", "8"))
CONFIG: dict[str, Any] = {
    "model": "vae",
    "families": ["linear", "sigmoid", "cosine"],
    "steps": 24,
    "trials": 12,
    "seed": 3,
    "stopping": {"within": "late_cut", "audit": 0.3},
    "resources": {"checkpoint_seconds": 0},
    "fid": {"samples": 60, "every": 0.1667, "budget": None},
}
OF_A_MOMENT = ["search", "time", "start", "end", "step_seconds", "eval_seconds", "attempt"]


class Searches:
    """A folder in which searches run, are killed and go on."""

    def __init__(self, folder: Path, short: Path) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            "HOME": str(folder),
            "MOLLITUNE_CACHE": str(folder / "cache"),
            "TMPDIR": str(short),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BIN), *args],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, code: int = 0) -> str:
        process = self.start(*args)
        text, _ = process.communicate(timeout=400)
        assert process.returncode == code, text
        return text

    def config(self, name: str, workers: int) -> str:
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"name": name, "workers": workers, **CONFIG}))
        return path.name

    def events(self, name: str) -> int:
        path = self.folder / "results" / name / "journal" / "events.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def kill_on_the_way(self, process: subprocess.Popen[str], name: str, delay: float) -> bool:
        """Wait until the search goes on, then a little, and kill; False if it was over before."""
        before = self.events(name)
        deadline = time.monotonic() + 300
        while process.poll() is None and self.events(name) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(delay)
        killed = process.poll() is None
        # the driver alone: Ray's processes notice by themselves
        if killed:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        return killed

    def results(self, name: str) -> Results:
        return load_results(name, self.folder / "results")


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searches]:
    # a short path: Ray's sockets lie below it, and their paths must not exceed 107 bytes
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as short:
        yield Searches(tmp_path_factory.mktemp("chaos"), Path(short))


def killed_again_and_again(searches: Searches, name: str, workers: int, kills: int) -> int:
    rng = random.Random(workers)
    process = searches.start("search", searches.config(name, workers))
    done = 0
    while done < kills and searches.kill_on_the_way(process, name, rng.uniform(0, 0.4)):
        done += 1
        process = searches.start("resume", name)
    text, _ = process.communicate()
    assert process.returncode == 0, text
    return done


def table(results: Results, name: str) -> pd.DataFrame:
    frame = getattr(results, name).drop(columns=OF_A_MOMENT, errors="ignore")
    ordered: pd.DataFrame = frame.sort_values(list(KEYS[name])[1:]).reset_index(drop=True)
    return ordered


def test_one_worker_ends_with_the_tables_of_an_uninterrupted_search(searches: Searches) -> None:
    assert killed_again_and_again(searches, "killed", 1, KILLS) >= min(KILLS, 8)
    searches.run("search", searches.config("whole", 1))
    whole, killed = searches.results("whole"), searches.results("killed")
    for name in KEYS:
        pd.testing.assert_frame_equal(table(killed, name), table(whole, name), check_exact=True)
        written = pd.read_parquet(searches.folder / "results" / "killed" / name)
        assert not written.duplicated(list(KEYS[name])).any()
    assert {"promote", "stop"} <= set(whole.decisions["action"])
    assert (killed.trials["attempt"] > 1).any()
    folder = searches.folder / "results" / "killed"
    assert {path.name for path in folder.iterdir()} == {
        *("reports", "decisions", "trials", "samples", "journal"),
        *("search.json", "report.html", "best.json"),
    }


def test_two_workers_lose_nothing_and_repeat_nothing(searches: Searches) -> None:
    kills = max(2, KILLS // 4)
    assert killed_again_and_again(searches, "two", 2, kills) >= 2
    results = searches.results("two")
    assert results.trials["trial"].tolist() == list(range(CONFIG["trials"]))
    assert set(results.trials["status"]) <= {"completed", "stopped"}
    for name in KEYS:
        written = pd.read_parquet(searches.folder / "results" / "two" / name)
        assert not written.duplicated(list(KEYS[name])).any()
    # what the record decided when it was made is what the tables say in the end
    stopped = results.decisions[results.decisions["action"] == "stop"]["trial"]
    status = results.trials.set_index("trial")["status"]
    assert set(stopped) == set(status.index[status == "stopped"])
    marks = [4, 8, 12, 16, 20, 24]
    for trial, reports in results.reports.groupby("trial"):
        last = 24 if status[trial] == "completed" else 16
        assert reports["step"].tolist() == [mark for mark in marks if mark <= last]


def test_a_finished_search_is_extended(searches: Searches) -> None:
    """As if it had been asked for from the start."""
    config = {**CONFIG, "name": "short", "workers": 1, "trials": 8}
    (searches.folder / "short.yaml").write_text(yaml.safe_dump(config))
    searches.run("search", "short.yaml")
    searches.run("extend", "short", "--trials", "4")
    whole, extended = searches.results("whole"), searches.results("short")
    for name in KEYS:
        pd.testing.assert_frame_equal(table(extended, name), table(whole, name), check_exact=True)
