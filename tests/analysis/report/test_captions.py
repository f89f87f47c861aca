import dataclasses

from tests.analysis.conftest import PARAMS, TRIALS, FakeTrial, MakeSearch

from mollitune.analysis import Results, load_results
from mollitune.analysis.report.cards.panel import captions
from mollitune.analysis.report.figures.palette import family_color
from mollitune.schedules import build
from mollitune.search.store.writer import Store


def test_every_trial_has_one(results: Results) -> None:
    found = captions(results)
    assert list(found) == list(range(9))
    complete = found[2]
    assert complete.schedule == str(TRIALS[2].schedule)
    assert complete.color == family_color("sigmoid")
    assert (complete.model, complete.configuration, complete.seed) == ("glow", 2, 7)
    assert (complete.fid, complete.note, complete.state) == ("20", "", "completed")


def test_last_fid_of_a_run_that_was_not_completed(results: Results) -> None:
    stopped, failed = captions(results)[4], captions(results)[5]
    assert (stopped.fid, stopped.note) == ("84", "at step 600, not comparable")
    assert stopped.state == "stopped, step 600 of 1,000"
    assert failed.state == "failed, step 200 of 1,000"


def test_run_of_a_confirmation_says_so(results: Results) -> None:
    assert captions(results)[8].state == "completed, run of a confirmation"


def test_trial_without_an_evaluation_and_evaluation_without_a_trial(
    make_search: MakeSearch,
) -> None:
    newborn = dataclasses.replace(TRIALS[0], status="running", end=0.0)
    location = make_search((newborn,))
    with Store.open(location, PARAMS) as store:
        store.report(FakeTrial(1, build("vanilla"), 30.0).report(0.2))
    found = captions(load_results(location))
    assert (found[0].fid, found[0].state) == ("", "running, step 0 of 1,000")
    assert (found[1].fid, found[1].state) == ("54", "running")


def test_fid_that_is_not_finite(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:1])
    with Store.open(location, PARAMS) as store:
        store.report({**TRIALS[0].report(1.0), "fid": None, "comparable": False})
    assert captions(load_results(location))[0].fid == ""
