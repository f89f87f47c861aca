"""A search of hyperparameters with the schedule, to the training that follows from it."""

import json
import signal
from typing import Any

import pandas as pd
import pytest
from tests.search.launch.conftest import Place, wait

from mollitune.analysis import Results, importance, leaderboard, verdict
from mollitune.analysis.ranking import best
from mollitune.schedules import load
from mollitune.search.policy import Configuration

pytestmark = pytest.mark.slow
JOINT: dict[str, Any] = {
    "name": "joint",
    "model": {
        "name": "realnvp",
        "lr": [1e-3, 1e-2],
        "batch_size": {"choices": [32, 64]},
        "lr_decay": ["constant", "cosine"],
        "ema": {"choices": [0, 0.1]},
        "hparams": {"hidden": [8, 16]},
    },
    "families": ["linear", "sigmoid"],
    "images": 256,
    "trials": 16,
    "workers": 1,
    "fid": {"samples": 50, "every": 0.5},
    "confirm": {"top": 1, "seeds": 3, "samples": 50},
    "resources": {"stack": 2},
}
NAMES = ["batch_size", "ema", "hparams.hidden", "lr", "lr_decay"]
SEARCHED = [f"params.{name}" for name in NAMES]


@pytest.fixture(scope="module")
def joint(place: Place) -> Results:
    """A search that is interrupted once, and goes on."""
    process = place.start("search", place.config(JOINT))
    samples = place.folder / "results" / "joint" / "samples"
    wait(process, 120, lambda: len(list(samples.glob("0*.png"))) > 3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    place.run("resume", "joint")
    return place.results("joint")


def test_it_is_the_search_that_nobody_interrupted(place: Place, joint: Results) -> None:
    place.run("search", place.config(JOINT | {"name": "whole"}))
    whole = place.results("whole").trials
    names = ["configuration", "seed", "family", "params.until", *SEARCHED, "steps"]
    pd.testing.assert_frame_equal(whole[names], joint.trials[names])
    pd.testing.assert_series_equal(whole["final_fid"], joint.trials["final_fid"], rtol=1e-3)


def test_both_sides_are_tuned_on_equally_many_images(place: Place, joint: Results) -> None:
    trials = joint.trials
    assert set(trials["status"]) == {"completed"}
    assert (trials["steps"] * trials["params.batch_size"] == 256).all()
    assert set(trials["params.batch_size"]) == {32, 64}
    assert set(trials["budget"]) == {256}
    assert trials["params.lr"].between(1e-3, 1e-2).all()
    # averaged weights and last ones in one race, and in one stack
    assert set(joint.reports["ema"]) == {0.0, 0.1}
    assert (joint.reports["ema"] == joint.reports["params.ema"]).all()
    new = trials.drop_duplicates("configuration")
    assert (new["family"] == "vanilla").sum() == len(new) // 3
    board = leaderboard(joint)
    assert len(board) == len(new)
    assert (
        board["schedule"].str.contains(r" with batch_size=(?:32|64) ema=\S+ hidden=\d+ lr=").all()
    )
    vanilla = board[board["family"] == "vanilla"]["fid_expected"]
    assert set(board["vanilla_expected"]) == {vanilla.min()}
    named = set(importance(joint, kind="parameter").query("within == 'all'")["name"])
    assert {"lr", "batch_size", "until"} <= named
    page = (place.folder / "results" / "joint" / "report.html").read_text()
    assert "The best of vanilla: vanilla with batch_size=" in page
    found = best(joint)
    assert found.settings.keys() == set(NAMES)
    assert found.vanilla_text in set(board["schedule"])
    assert (found.equal is None) == found.is_vanilla


def test_it_can_be_replayed(place: Place, joint: Results) -> None:
    said = place.run("replay", "joint", "--orders", "2").stdout
    assert "race, shape" in said
    assert "race, tpe" in said


def test_the_verdict_is_tuned_against_tuned_and_its_choice_is_trained(
    place: Place, joint: Results
) -> None:
    said = place.run("confirm", "joint").stdout
    found = verdict(place.results("joint"))
    assert found.sentence in said
    assert "tuned against tuned" in found.sentence
    # vanilla as it was tuned, and vanilla at the hyperparameters of every schedule
    base = found.vanilla
    assert base is not None
    assert base.text == best(joint).vanilla_text
    plain = {arm.settings for arm in found.arms if arm.is_vanilla}
    assert {arm.settings for arm in found.schedules} <= plain
    for arm in found.schedules:
        assert (arm.equal is None) == (arm.settings == base.settings)
    export = place.folder / "results" / "joint" / "best.json"
    document = json.loads(export.read_text())
    choice = found.choice
    assert choice is not None
    assert Configuration(load(export), choice.settings).schedule == choice.schedule
    training = document["provenance"]["training"]
    own = dict(choice.settings)
    assert (training["lr"], training["ema"]) == (own["lr"], own["ema"])
    assert training["hparams"] == {"hidden": own["hparams.hidden"]}
    assert document["provenance"]["steps"] * training["batch_size"] == 256
    place.run("train", "--schedule", str(export), "--output", "out", "--fid-samples", "50")
    trained = json.loads((place.folder / "out" / "train.json").read_text())
    assert trained["settings"]["lr"] == own["lr"]
    assert trained["settings"]["batch_size"] == own["batch_size"]
    assert trained["settings"]["ema"] == (own["ema"] or None)
    assert trained["result"]["weights"] == ("ema" if own["ema"] else "last")
