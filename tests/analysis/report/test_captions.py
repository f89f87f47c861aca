import dataclasses

from tests.analysis.conftest import TRIALS, YOUNG, FakeTrial, Search

from mollitune.analysis import Results
from mollitune.analysis.report.cards.panel import Caption, captions
from mollitune.analysis.report.figures.palette import family_color
from mollitune.schedules import build


def test_every_trial_has_one(results: Results) -> None:
    found = captions(results)
    assert list(found) == list(range(9))
    schedule, color = str(TRIALS[2].schedule), family_color("sigmoid")
    known = (schedule, color, "glow", 2, 7, "20.00", "against validation data", "completed")
    assert found[2] == Caption("trial 2", *known)
    assert found[8].state == "completed, run of a confirmation"
    # the last FID of a run that was not completed
    assert (found[4].fid, found[4].note) == ("84.00", "at step 600, not comparable")
    assert found[4].state == "stopped, step 600 of 1,000"
    assert found[5].state == "failed, step 200 of 1,000"


def test_trial_without_an_evaluation_and_evaluation_without_a_trial(search: Search) -> None:
    found = captions(search(YOUNG, reports=[FakeTrial(1, build("vanilla"), 30.0).report(0.2)]))
    assert (found[0].fid, found[0].state) == ("", "running, step 0 of 1,000")
    assert (found[1].fid, found[1].state) == ("54.00", "running")


def test_fid_that_is_not_finite(search: Search) -> None:
    short = dataclasses.replace(TRIALS[0], end=0.8)
    none = {**TRIALS[0].report(1.0), "fid": None, "comparable": False}
    assert captions(search(short, reports=[none]))[0].fid == ""
