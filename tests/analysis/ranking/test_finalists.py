"""Which schedules are worth a confirmation."""

import pytest
from tests.analysis.conftest import CONFIRMED, TRIALS, FakeTrial, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.analysis.ranking.finalists import finalists, tried
from mollitune.schedules import build


def test_the_lowest_expected_fids_come_first_and_vanilla_is_none_of_them(
    results: Results,
) -> None:
    found = finalists(results, "glow", 5)
    # the fourth was stopped, the fifth failed
    assert [finalist.configuration for finalist in found] == [2, 1, 3]
    assert [finalist.schedule for finalist in found] == [TRIALS[i].schedule for i in (2, 1, 3)]
    assert finalists(results, "glow", 1) == found[:1]


def test_a_curve_in_other_parameters_is_no_second_finalist(make_search: MakeSearch) -> None:
    same = FakeTrial(20, build("sigmoid", start=-4.0, end=6.0, tau=2.0, until=0.6), 21.0)
    found = finalists(load_results(make_search((*TRIALS, same))), "glow", 5)
    assert [finalist.configuration for finalist in found] == [2, 1, 3]


def test_runs_of_a_confirmation_recommend_nothing(make_search: MakeSearch) -> None:
    found = finalists(load_results(make_search((*TRIALS, *CONFIRMED))), "glow", 5)
    assert [finalist.configuration for finalist in found] == [2, 1, 3]


def test_nothing_to_confirm(make_search: MakeSearch) -> None:
    results = load_results(make_search((TRIALS[4], TRIALS[6])))
    with pytest.raises(MollituneError, match="so there is nothing to confirm"):
        finalists(results, "glow", 3)
    with pytest.raises(MollituneError, match="has no model 'maf'"):
        finalists(results, "maf", 3)


def test_what_was_tried_is_found_by_its_curve(results: Results) -> None:
    assert tried(results, "glow", build("vanilla")) == 0
    assert tried(results, "glow", TRIALS[2].schedule) == 2
    assert tried(results, "glow", build("linear", until=0.123)) is None
    assert tried(results, "vae", TRIALS[2].schedule) is None
