"""A driver that is killed without warning, again and again, loses nothing and forgets nothing."""

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.chaos import faulty
from tests.chaos.searches import Searches, assert_same_tables

from mollitune.analysis import Results
from mollitune.search.training.checkpoints import Checkpoints

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
    # either way is one that people have
    again = ("resume", name) if workers == 1 else ("search", config, "--or-resume")
    done = 0
    while done < kills:
        if done % 2 == 0:
            killed = searches.kill_in_a_trial(process, name)
        else:
            killed = searches.kill_on_the_way(process, name, rng.uniform(0, 0.4))
        if not killed:
            break
        done += 1
        process = searches.start(*again)
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


@pytest.mark.parametrize("sampler", ["NSGAIISampler", "CmaEsSampler"][: 1 + (KILLS > 2)])
def test_plugged_in_of_ray_tune_a_search_ends_as_one_that_was_left_alone(
    searches: Searches, sampler: str
) -> None:
    """Stock ASHA with a sampler of Optuna's; each is asked and told in the same order again."""
    values: dict[str, Any] = {
        **CONFIG,
        "workers": 1,
        "arms": 1,
        "trials": 7,
        "search_alg": f"optuna:{sampler}",
    }
    values |= {"scheduler": "asha", "stopping": {"policy": "none"}}
    searches.run("search", searches.config(f"{sampler}-whole", **values))
    searches.config(f"{sampler}-cut", **values)
    searches.killed_on_the_way("search", f"{sampler}-cut", kills=KILLS, seed=1)
    whole, cut = (searches.results(f"{sampler}-{name}") for name in ("whole", "cut"))
    assert_same_tables(cut, whole)
    assert {"stop", "continue"} == set(whole.decisions["action"])
    assert whole.decisions["reason"].str.startswith("unlike values").any()


def test_a_kill_costs_no_more_training_than_checkpoint_seconds_allow(searches: Searches) -> None:
    """However long it is to the next evaluation: here it is the end, after half a minute or more.

    A step takes a tenth of a second or more, so 4 s are 40 steps at most: two between two
    checkpoints, and until Ray's processes notice that the driver has gone.
    """
    shutil.copy(faulty.__file__, searches.folder)
    log, steps = searches.folder / "Paced.log", 150 + 75 * KILLS  # 7 s are 70 steps
    config = searches.config(
        "paced",
        model=[{"name": "faulty:Paced", "hparams": {"log": str(log)}}],
        **{"families": ["vanilla"], "trials": 1, "workers": 1, "steps": steps},
        fid={"samples": 60, "every": 1.0, "final": "last"},
        resources={"checkpoint_seconds": 2},
    )
    kept = Checkpoints(str(searches.folder / "results" / "paced"), 0)
    rng, costs, begun = random.Random(0), list[int](), 0
    process = searches.start("search", config)
    for _ in range(KILLS):
        before = lines(log)
        while process.poll() is None and lines(log) == before:
            time.sleep(0.05)
        assert searches.kill_after(process, rng.uniform(2, 7))
        trained = begun + settled(log) - before
        begun = max((state["step"] for state in kept.load(torch.device("cpu"))), default=0)
        costs.append(trained - begun)
        process = searches.start("resume", "paced")
    text, _ = process.communicate()
    assert process.returncode == 0, text
    print(f"{KILLS} kills cost {costs} steps of 0.1 s")
    assert begun > 0
    assert max(costs) <= 40
    assert lines(log) == steps + sum(costs)


def lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def settled(log: Path) -> int:
    """Return the lines of a log once nobody writes any more."""
    before = -1
    while (now := lines(log)) != before:
        before = now
        time.sleep(1)
    return now
