import dataclasses
import json
from pathlib import Path

import pytest
from tests.analysis.conftest import CONFIRMED, LATE, PARAMS, TRIALS, FakeTrial, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import Results, export_best, load_results
from mollitune.analysis.ranking import best
from mollitune.schedules import Vanilla, build, load
from mollitune.search.store.writer import Store

# One lucky run of the linear schedule, three good ones of the sigmoid.
LUCKY = (
    TRIALS[0],
    dataclasses.replace(TRIALS[1], final=18.0),
    dataclasses.replace(TRIALS[1], number=20, configuration=1, final=28.0, seed=8),
    TRIALS[2],
    dataclasses.replace(TRIALS[2], number=21, configuration=2, final=19.0, seed=8),
    dataclasses.replace(TRIALS[2], number=22, configuration=2, final=22.5, seed=9),
)


def test_best_of_all_models(results: Results) -> None:
    found = best(results)
    assert (found.configuration, found.trial, found.model) == (2, 2, "glow")
    assert (found.fid_expected, found.vanilla_expected, found.vanilla_mean) == (20.0, 30.0, 30.0)
    assert found.schedule == TRIALS[2].schedule
    assert (found.runs, found.seeds, found.vanilla_runs) == (1, (7,), 1)
    assert (found.steps, found.extractor, found.fid_samples) == (1000, "lenet", 500)
    assert found == best(results, "glow")


def test_lowest_mean_wins_over_the_lowest_single_fid(make_search: MakeSearch) -> None:
    found = best(load_results(make_search(LUCKY)))
    assert (found.configuration, found.runs, found.seeds) == (2, 3, (7, 8, 9))
    assert (found.fid_expected, found.fid_mean, found.fid_lowest) == (20.5, 20.5, 19.0)
    assert (found.lowest_configuration, found.lowest_fid, found.lowest_runs) == (1, 18.0, 2)
    assert found.fid_low is not None
    assert found.fid_high is not None
    assert found.fid_low < 20.5 < found.fid_high


@pytest.mark.parametrize(("runs", "trial"), [(1, 2), (2, 21), (3, 2)])
def test_the_run_that_is_shown_has_the_median_fid(
    make_search: MakeSearch, runs: int, trial: int
) -> None:
    found = best(load_results(make_search(LUCKY[3 : 3 + runs])))
    assert (found.trial, found.trial_fid) == (trial, {2: 20.0, 21: 19.0}[trial])


def test_many_configurations_are_chosen_by_shape(make_search: MakeSearch) -> None:
    """One low value among high neighbours is not believed, a low one among low ones is."""
    finals = [30.0, 29.5, 29.0, 21.9, 28.5, 24.0, 23.0, 22.0, 22.5, 23.5]
    trials = tuple(
        FakeTrial(i, build("linear", until=0.05 + 0.1 * i), final)
        for i, final in enumerate(finals)
    )
    found = best(load_results(make_search(trials)))
    assert (found.configuration, found.lowest_configuration) == (7, 3)
    assert found.lowest_fid == 21.9 < found.fid_expected
    assert found.fid_low is not None


def test_sentence_is_honest(make_search: MakeSearch) -> None:
    searched = best(load_results(make_search(TRIALS[:3])))
    assert searched.sentence == (
        "On glow, sigmoid(start=-2, tau=1, until=0.6) has expected FID 20 (1 run) against 30 for "
        "vanilla (1 run): not yet confirmed. No seed was repeated, so there is no interval; "
        "measured: 20, vanilla 30. The lowest single FID, 20, is a run of the same."
    )


def test_sentence_shows_both_numbers(make_search: MakeSearch) -> None:
    found = best(load_results(make_search(LUCKY)))
    assert "has expected FID 20.5 (3 runs) against 30 for vanilla (1 run)" in found.headline
    assert found.details == (
        f"The 90 % interval is {found.fid_low:.4g} to {found.fid_high:.4g}; measured: 20.5 on "
        "average and 19 at best, vanilla 30. The lowest single FID, 18, is a run of "
        "linear(until=0.5) (2 runs)."
    )


def test_sentence_without_vanilla(make_search: MakeSearch) -> None:
    found = best(load_results(make_search(TRIALS[1:2])))
    assert (found.vanilla_expected, found.vanilla_mean, found.vanilla_runs) == (None, None, 0)
    assert "with no vanilla run to compare with" in found.sentence


def test_after_a_confirmation_the_verdict_speaks(make_search: MakeSearch) -> None:
    found = best(load_results(make_search((*TRIALS, *CONFIRMED))), "glow")
    assert found.verdict is not None
    assert found.headline == found.verdict.sentence
    assert found.schedule == TRIALS[2].schedule  # of the search
    assert found.production == LATE  # of the confirmation
    assert found.details.startswith(f"For production: {LATE}. The search recommended ")


def test_a_confirmation_that_goes_on_decides_nothing_yet(make_search: MakeSearch) -> None:
    running = dataclasses.replace(CONFIRMED[-1], status="running", end=0.6)
    found = best(load_results(make_search((*TRIALS, *CONFIRMED[:-1], running))), "glow")
    assert found.confirmed is None
    assert found.production == found.schedule
    assert "so far" in found.headline


def test_where_nothing_beats_vanilla_vanilla_is_for_production(make_search: MakeSearch) -> None:
    finals = {3: 30.0, 2: 30.5, 1: 29.0}
    equal = [dataclasses.replace(t, final=finals[t.seed - 10_000]) for t in CONFIRMED]
    found = best(load_results(make_search((*TRIALS, *equal))), "glow")
    assert found.production == Vanilla()


def test_a_confirmation_of_another_model_changes_nothing(make_search: MakeSearch) -> None:
    found = best(load_results(make_search((*TRIALS, *CONFIRMED))), "vae")
    assert found.verdict is None
    assert "not yet confirmed" in found.headline


def test_vanilla_may_be_the_best(results: Results) -> None:
    found = best(results, "vae")
    assert found.is_vanilla
    assert found.schedule == Vanilla()
    assert found.headline == (
        "On vae, no schedule is expected to beat vanilla training and its FID of 50 (1 run): "
        "not yet confirmed."
    )


def test_confirmation_runs_do_not_compete(results: Results) -> None:
    assert min(results.reports["fid"]) == 1.0
    assert best(results).fid_expected == best(results).lowest_fid == 20.0


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


def test_models_that_were_measured_differently_are_not_ranked(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:2])
    with Store.open(location, PARAMS) as store:
        other = FakeTrial(10, build("linear", until=0.5), 1.0, model="vae").report(1.0)
        store.report({**other, "extractor": "inception"})
    results = load_results(location)
    with pytest.raises(MollituneError, match=r"'glow' and 'vae' .* differ in extractor"):
        best(results)
    assert best(results, "glow").fid_expected == 25.0


def test_models_may_have_budgets_of_their_own(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:2])
    with Store.open(location, PARAMS) as store:
        other = FakeTrial(10, build("linear", until=0.5), 1.0, model="vae").report(1.0)
        store.report({**other, "step": 5000})
    assert best(load_results(location)).model == "vae"


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
    document = json.loads(path.read_text())
    assert document["verdict"] is None
    assert document["provenance"] == {
        "search": "fake",
        "configuration": 2,
        "trial": 2,
        "trial_fid": 20.0,
        "model": "glow",
        "dataset": "digits",
        "runs": 1,
        "seeds": [7],
        "fid_expected": 20.0,
        "fid_low": None,
        "fid_high": None,
        "fid_mean": 20.0,
        "fid_lowest": 20.0,
        "vanilla_runs": 1,
        "vanilla_expected": 30.0,
        "vanilla_mean": 30.0,
        "lowest_configuration": 2,
        "lowest_text": "sigmoid(start=-2, tau=1, until=0.6)",
        "lowest_runs": 1,
        "lowest_fid": 20.0,
        "extractor": "lenet",
        "fid_samples": 500,
        "steps": 1000,
        **dict.fromkeys(("dataset_sha256", "extractor_sha256", "extractor_resize")),
        "training": {},
        "note": "lowest expected FID of one search, not yet confirmed on fresh seeds",
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
