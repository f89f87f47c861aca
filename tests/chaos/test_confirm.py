"""A confirmation: real runs on fresh seeds, killed on the way, and the verdict in the end."""

import json
import shutil
from typing import Any

import pytest
from tests.chaos.searches import Searches, assert_same_tables

from mollitune.analysis import load_results
from mollitune.schedules import load
from mollitune.search.cli import main
from mollitune.search.store.schema import CONFIRM_TRIALS

pytestmark = pytest.mark.slow
TOP, SEEDS, SEARCHED = 2, 3, 8
CONFIG: dict[str, Any] = {
    "model": "vae",
    "families": ["linear", "cosine"],
    "steps": 24,
    "trials": SEARCHED,
    "workers": 1,
    "seed": 5,
    "resources": {"checkpoint_seconds": 0},
    "fid": {"samples": 60, "every": 0.3334},
    "confirm": {"top": TOP, "seeds": SEEDS, "samples": 200},
}


@pytest.fixture(scope="module")
def searched(searches: Searches) -> Searches:
    """Equal searches that are finished: some are to be confirmed whole, some with kills."""
    searches.run("search", searches.config("whole", **CONFIG))
    results = searches.folder / "results"
    for name in ("killed", "ladder", "cut"):
        shutil.copytree(results / "whole", results / name)
    # the same search under another name: rows and plan carry it
    return searches


@pytest.fixture(scope="module")
def printed(searched: Searches) -> str:
    return searched.run("confirm", "whole")


def test_arms_share_fresh_seeds_and_are_measured_on_test_images(
    searched: Searches, printed: str
) -> None:
    results = searched.results("whole")
    trials = results.trials[results.trials["stage"] == "confirm"]
    # vanilla, the paper's default, which this search did not look at, and the recommended
    assert set(trials["family"]) >= {"vanilla", "sigmoid"}
    assert trials["configuration"].nunique() == TOP + 2
    seeds = trials.groupby("configuration")["seed"].apply(set)
    assert max(seeds, key=len) == {10_005, 10_006, 10_007}
    assert not set(trials["seed"]) & set(results.trials["seed"][results.trials["trial"] < 100])
    assert trials["trial"].min() == CONFIRM_TRIALS
    reports = results.reports[results.reports["stage"] == "confirm"]
    assert set(reports["fid_reference"]) == {"test"}
    assert set(reports["fid_samples"]) == {200}
    # nothing is stopped early
    assert set(trials["status"]) == {"completed"}
    assert set(trials["step"]) == {24}


def test_the_verdict_is_printed_written_and_exported(searched: Searches, printed: str) -> None:
    folder = searched.folder / "results" / "whole"
    written = json.loads((folder / "verdict.json").read_text())
    (entry,) = written["verdicts"]
    assert entry["sentence"] in printed.replace("\n", " ")
    assert "chance to detect a true difference" in printed or "repeated too few seeds" in printed
    exported = json.loads((folder / "best.json").read_text())
    assert exported["verdict"]["sentence"] == entry["sentence"]
    chosen = {arm["configuration"]: arm["schedule"] for arm in entry["arms"]}[entry["choice"]]
    assert load(folder / "best.json").to_dict() == chosen
    described = json.loads((folder / "confirm" / "1.json").read_text())
    assert described["status"] == "finished"
    assert not (folder / "checkpoints").exists()


def test_the_search_itself_is_as_it_was(searched: Searches, printed: str) -> None:
    whole, before = searched.results("whole"), searched.results("killed")
    for name in ("reports", "trials"):
        rows, old = (getattr(results, name) for results in (whole, before))
        assert rows[rows["stage"] == "search"].equals(old[old["stage"] == "search"])


@pytest.mark.usefixtures("printed")
def test_a_confirmed_search_is_confirmed_once_more_only_if_asked(
    searched: Searches, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(searched.folder)
    monkeypatch.setenv("MOLLITUNE_CACHE", searched.environment["MOLLITUNE_CACHE"])
    before = searched.results("whole").trials
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["confirm", "whole"])
    assert "beat" in (again := capsys.readouterr().out) or "told apart" in again
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["confirm", "whole", "--seeds", "9"])
    assert "--again" in capsys.readouterr().err
    assert searched.results("whole").trials.equals(before)


def test_killed_on_the_way_it_ends_with_the_same_verdict(searched: Searches, printed: str) -> None:
    searched.killed_on_the_way("confirm", "killed", kills=1, seed=7, record="confirm/1")
    path = searched.folder / "results" / "killed"
    assert_same_tables(load_results(path), searched.results("whole"))
    verdicts = [
        json.loads((searched.folder / "results" / name / "verdict.json").read_text())
        for name in ("killed", "whole")
    ]
    assert verdicts[0] == verdicts[1]


def test_once_more_it_takes_other_seeds_and_decides_anew(searched: Searches, printed: str) -> None:
    searched.run("confirm", "killed", "--again", "--top", "1", "--seeds", "2")
    trials = searched.results("killed").trials
    second = trials[trials["trial"] >= 2 * CONFIRM_TRIALS]
    assert set(second["seed"]) == {20_005, 20_006}
    assert second["configuration"].nunique() == 3
    written = json.loads((searched.folder / "results" / "killed" / "verdict.json").read_text())
    assert {entry["number"] for entry in written["verdicts"]} == {2}


def test_budgets_are_trained_on_the_same_seeds_and_judged_apart(searched: Searches) -> None:
    options = ["--budgets", "1", "2", "--seeds", "2", "--top", "1"]
    said = searched.run("confirm", "ladder", *options)
    searched.killed_on_the_way(
        "confirm", "cut", kills=2, seed=3, record="confirm/1", options=options
    )
    ladder = searched.results("ladder")
    assert_same_tables(searched.results("cut"), ladder)
    trials = ladder.trials[ladder.trials["stage"] == "confirm"]
    assert set(zip(trials["scale"], trials["steps"], strict=True)) == {(1.0, 24), (2.0, 48)}
    by_budget = trials.groupby("scale")
    assert list(by_budget["configuration"].nunique()) == [3, 3]
    assert trials["configuration"].nunique() == 6
    assert [set(seeds) for _, seeds in by_budget["seed"]] == [{10_005, 10_006}] * 2
    folders = [searched.folder / "results" / name for name in ("ladder", "cut")]
    whole, cut = (json.loads((f / "verdict.json").read_text())["verdicts"] for f in folders)
    assert whole == cut
    assert [(own["steps"], own["complete"]) for own in whole] == [(24, True), (48, True)]
    for own in whole:
        assert own["sentence"].startswith(f"On vae at {own['steps']} steps, ")
        assert own["sentence"] in said.replace("\n", " ")
