import dataclasses
import json
from pathlib import Path

import pytest
from tests.analysis.conftest import PARAMS, TRIALS, FakeTrial, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import Results, best, export_best, load_results
from mollitune.schedules import Vanilla, build, load
from mollitune.search.store import Store


def test_best_of_all_models(results: Results) -> None:
    found = best(results)
    assert (found.trial, found.model, found.fid, found.vanilla_fid) == (2, "glow", 20.0, 30.0)
    assert found.schedule == TRIALS[2].schedule
    assert (found.seed, found.steps, found.extractor, found.fid_samples) == (7, 1000, "lenet", 500)
    assert found == best(results, "glow")


def test_sentence_is_honest(make_search: MakeSearch) -> None:
    searched = best(load_results(make_search(TRIALS[:3])))
    assert searched.sentence == (
        "On glow, sigmoid(start=-2, tau=1, until=0.6) reached FID 20 against 30 for vanilla: "
        "one seed, not yet confirmed."
    )


def test_sentence_without_vanilla(make_search: MakeSearch) -> None:
    found = best(load_results(make_search(TRIALS[1:2])))
    assert found.vanilla_fid is None
    assert "with no vanilla run to compare with" in found.sentence


def test_sentence_after_confirmation(results: Results) -> None:
    assert best(results).confirmation_runs == 1
    assert best(results).sentence.endswith("one seed; the confirmation decides (runs so far: 1).")


def test_vanilla_may_be_the_best(results: Results) -> None:
    found = best(results, "vae")
    assert found.is_vanilla
    assert found.schedule == Vanilla()
    assert found.sentence == (
        "On vae, no schedule beat vanilla training, which reached FID 50: one seed, not yet "
        "confirmed."
    )


def test_confirmation_runs_do_not_compete(results: Results) -> None:
    assert min(results.reports["fid"]) == 1.0
    assert best(results).fid == 20.0


def test_nothing_finished(make_search: MakeSearch) -> None:
    young = dataclasses.replace(TRIALS[1], status="running", end=0.6)
    noisy = FakeTrial(9, build("linear", until=1.0, peak=0.5), 1.0, status="stopped", end=0.8)
    results = load_results(make_search((young, noisy)))
    with pytest.raises(MollituneError, match=r"no trial of the search 'fake' has finished"):
        best(results)
    with pytest.raises(MollituneError, match=r"no trial of model 'glow' of the search"):
        best(results, "glow")


def test_unlike_measurements_are_not_ranked(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:2])
    with Store.open(location, PARAMS) as store:
        other = FakeTrial(10, build("linear", until=0.5), 1.0).report(1.0)
        store.report({**other, "fid_samples": 50000})
    with pytest.raises(MollituneError, match=r"differ in fid_samples \(500, 50000\)"):
        best(load_results(location))


def test_family_that_is_not_registered(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:1])
    with Store.open(location, PARAMS) as store:
        store.report({**FakeTrial(9, build("vanilla"), 1.0).report(1.0), "family": "stairs"})
    with pytest.raises(MollituneError, match=r"trial 9 cannot be built: .*'stairs'"):
        best(load_results(location))


def test_export_round_trip_with_provenance(results: Results, tmp_path: Path) -> None:
    path = export_best(results, tmp_path / "best.json")
    assert path == tmp_path / "best.json"
    assert load(path) == TRIALS[2].schedule
    provenance = json.loads(path.read_text())["provenance"]
    assert provenance == {
        "search": "fake",
        "trial": 2,
        "model": "glow",
        "dataset": "digits",
        "fid": 20.0,
        "vanilla_fid": 30.0,
        "extractor": "lenet",
        "fid_samples": 500,
        "seed": 7,
        "steps": 1000,
        "note": "lowest FID of one search, one seed, not yet confirmed on fresh seeds",
        "versions": {"mollitune": "0.1.0", "torch": "2.11.0"},
    }


def test_export_replaces_only_when_told(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    path.write_text("mine")
    with pytest.raises(MollituneError, match=r"best.json exists already"):
        export_best(results, path)
    assert path.read_text() == "mine"
    export_best(results, path, model="vae", overwrite=True)
    assert load(path) == Vanilla()


def test_export_to_an_impossible_place(results: Results, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MollituneError, match=r"cannot write .*file/best.json"):
        export_best(results, tmp_path / "file" / "best.json")
