"""A driver that is killed without warning, again and again, loses nothing and forgets nothing."""

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.chaos.searches import Searches, assert_same_tables

from mollitune.analysis import Results

pytestmark = pytest.mark.slow
# with one worker, where all must be equal; a quarter of them with two, where nothing may be lost
KILLS = int(os.environ.get("MOLLITUNE_CHAOS_KILLS", "2"))
SEED = 3
CONFIG: dict[str, Any] = {
    "model": "vae",
    "families": ["linear", "sigmoid", "cosine"],
    "steps": 24,
    "trials": 12,
    "stopping": {"within": "late_cut", "audit": 0.3},
    "resources": {"checkpoint_seconds": 0},
    "fid": {"samples": 60, "every": 0.1667},
}


def killed_again_and_again(
    searches: Searches, name: str, kills: int, workers: int, seed: int
) -> int:
    """Run a search to its end and return how often it was killed, at most ``kills`` times.

    Every second time, from the first on, a trial is running; else it is any moment.
    """
    rng = random.Random(f"{workers} {seed}")
    config = searches.config(name, workers=workers, seed=seed, **CONFIG)
    process = searches.start("search", config)
    done = 0
    while done < kills:
        if done % 2 == 0:
            killed = searches.kill_in_a_trial(process, name)
        else:
            killed = searches.kill_on_the_way(process, name, rng.uniform(0, 0.4))
        if not killed:
            break
        done += 1
        process = searches.start("resume", name)
    text, _ = process.communicate()
    assert process.returncode == 0, text
    assert done > 0
    return done


def rounds(searches: Searches, name: str, kills: int, workers: int) -> Iterator[tuple[int, int]]:
    """Kill as often as asked for, in as many searches as it takes; yield seed and kills of each.

    The search of seed 7 is called ``name-7``.
    """
    seed = SEED
    while kills > 0:
        done = killed_again_and_again(searches, f"{name}-{seed}", kills, workers, seed)
        kills -= done
        yield seed, done
        seed += 1


def uninterrupted(searches: Searches, seed: int) -> Results:
    """The same search with one worker, left alone; run once."""
    name = f"whole-{seed}"
    if not (searches.folder / "results" / name).exists():
        searches.run("search", searches.config(name, workers=1, seed=seed, **CONFIG))
    return searches.results(name)


def test_one_worker_ends_with_the_tables_of_an_uninterrupted_search(searches: Searches) -> None:
    for seed, kills in rounds(searches, "killed", KILLS, 1):
        whole, killed = uninterrupted(searches, seed), searches.results(f"killed-{seed}")
        folder = searches.folder / "results" / f"killed-{seed}"
        assert_same_tables(killed, whole)
        searches.assert_each_row_once(f"killed-{seed}")
        # every second kill was within a trial, which was started once more
        assert (killed.trials["attempt"] - 1).sum() >= (kills + 1) // 2
        assert {path.name for path in folder.iterdir()} == {
            *("reports", "decisions", "trials", "samples", "journal"),
            *("search.json", "report.html", "best.json"),
        }
    assert {"promote", "stop"} <= set(uninterrupted(searches, SEED).decisions["action"])


def test_two_workers_lose_nothing_and_repeat_nothing(searches: Searches) -> None:
    for seed, _ in rounds(searches, "two", max(1, KILLS // 4), 2):
        check_nothing_lost(searches, f"two-{seed}")


def check_nothing_lost(searches: Searches, name: str) -> None:
    results = searches.results(name)
    assert results.trials["trial"].tolist() == list(range(CONFIG["trials"]))
    assert set(results.trials["status"]) <= {"completed", "stopped"}
    searches.assert_each_row_once(name)
    # what the record decided when it was made is what the tables say in the end
    stopped = results.decisions[results.decisions["action"] == "stop"]["trial"]
    status = results.trials.set_index("trial")["status"]
    assert set(stopped) == set(status.index[status == "stopped"])
    marks = [4, 8, 12, 16, 20, 22, 23, 24]
    for trial, reports in results.reports.groupby("trial"):
        last = 24 if status[trial] == "completed" else 16
        assert reports["step"].tolist() == [mark for mark in marks if mark <= last]
