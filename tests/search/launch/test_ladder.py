"""A search over several budgets, from its config to the file for production, and one after it."""

import json
import math
import signal
from typing import Any

import pytest
from tests.search.launch.conftest import Place, wait

from mollitune.analysis import Results, ladder, leaderboard, prior
from mollitune.analysis.confirmation import verdicts
from mollitune.analysis.ranking import best

pytestmark = pytest.mark.slow
LADDER: dict[str, Any] = {
    "name": "ladder",
    "model": "vae",
    "families": ["linear", "sigmoid"],
    "steps": 8,
    "budgets": [1, 2, 4],
    "target_steps": 64,
    "trials": 30,
    "workers": 1,
    "fid": {"samples": 50, "every": 1},
    "confirm": {"top": 1, "seeds": 2, "samples": 50},
}


@pytest.fixture(scope="module")
def searched(place: Place) -> Results:
    """A search that is interrupted once, and goes on."""
    process = place.start("search", place.config(LADDER))
    samples = place.folder / "results" / "ladder" / "samples"
    wait(process, 120, lambda: len(list(samples.glob("0*.png"))) > 5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    place.run("resume", "ladder")
    return place.results("ladder")


def test_every_trial_is_a_complete_training_of_its_budget(searched: Results) -> None:
    trials = searched.trials
    assert set(trials["status"]) == {"completed"}
    assert (trials["step"] == trials["steps"]).all()
    assert set(trials["steps"]) == {8, 16, 32} & set(trials["steps"])
    assert len(set(trials["steps"])) > 1
    assert (trials["steps"] == 8 * trials["scale"]).all()
    assert (trials["budget"] == 128 * trials["steps"]).all()
    assert 30 <= trials["scale"].sum() < 34


def test_what_is_ranked_is_expected_at_the_target(place: Place, searched: Results) -> None:
    board = leaderboard(searched)
    curves = searched.trials.drop_duplicates(["family", *_params(searched)])
    assert len(board) == len(curves), "each curve once, whatever its budgets"
    assert board["budgets"].str.contains("8 x|16 x|32 x").all()
    found = best(searched)
    assert "at 64 steps" in found.sentence
    assert found.fid_expected == board["fid_expected"].min()
    said = place.run("best", "ladder").stdout
    assert found.sentence in said
    assert "at 64 this is an extrapolation" in said
    assert set(ladder(searched)["steps"]) == set(searched.trials["steps"])


def test_it_is_confirmed_at_each_budget_and_exported_with_all_of_them(
    place: Place, searched: Results
) -> None:
    said = place.run("confirm", "ladder", "--budgets", "1", "2").stdout
    found = verdicts(place.results("ladder"))
    assert [verdict.steps for verdict in found] == [8, 16]
    for verdict in found:
        assert verdict.sentence in said
        assert f"{verdict.steps} steps" in verdict.sentence
    document = json.loads((place.folder / "results" / "ladder" / "best.json").read_text())
    assert document["provenance"]["target"] == 64
    assert set(document["provenance"]["budgets"]) >= {8, 16}
    page = (place.folder / "results" / "ladder" / "report.html").read_text()
    assert "Effect against budget" in page


def _params(results: Results) -> list[str]:
    return [name for name in map(str, results.trials) if name.startswith("params.")]


def test_a_search_learns_from_it_and_goes_on_when_it_is_gone(
    place: Place, searched: Results
) -> None:
    own = {**LADDER, "steps": 16, "trials": 6, "arms": 2, "prior": "ladder"}
    for name in ("budgets", "target_steps", "confirm"):
        del own[name]
    said = place.run("search", place.config({**own, "name": "whole"})).stdout
    lengths = searched.trials["steps"]
    runs = (lengths == min(lengths, key=lambda steps: abs(math.log(steps / 16)))).sum()
    assert f"prior of vae: {runs} runs of vae on digits in ladder" in said
    place.run("search", place.config({**own, "name": "parts", "trials": 4}))
    folder = place.folder / "results" / "ladder"
    folder.rename(folder.with_name("elsewhere"))
    place.run("extend", "parts", "--trials", "2")
    whole, parts = (place.results(name) for name in ("whole", "parts"))
    columns = ["family", "seed", *_params(whole)]
    assert parts.trials[columns].equals(whole.trials[columns])
    (known,) = prior(parts).to_dict("records")
    assert (known["search"], known["runs"]) == ("ladder", runs)
    assert 0 < known["agreement"] <= 1
    line = f"{runs} earlier runs of vae on digits (ladder), agreement {known['agreement']:.2f}"
    assert f"prior: {line}" in place.run("best", "parts").stdout
    assert line in (place.folder / "results" / "parts" / "report.html").read_text()
