"""Which schedules are worth a confirmation."""

import pytest
from tests.analysis.conftest import CONFIRMED, TRIALS, FakeTrial, Search
from tests.search.policy.worlds import plain

from mollitune._errors import MollituneError
from mollitune.analysis import Results
from mollitune.analysis.ranking.finalists import finalists, tried
from mollitune.analysis.tables.configurations import configurations_of
from mollitune.schedules import build


def test_the_lowest_expected_fids_come_first_and_vanilla_is_none_of_them(
    results: Results,
) -> None:
    found = finalists(results, "glow", 5)
    # the fourth was stopped, the fifth failed
    assert found == [(i, *plain(TRIALS[i].schedule)) for i in (2, 1, 3)]
    assert finalists(results, "glow", 1) == found[:1]


# the same curve in other parameters, and runs of a confirmation
SAME = FakeTrial(20, build("sigmoid", start=-4.0, end=6.0, tau=2.0, until=0.6), 21.0)


@pytest.mark.parametrize("more", [(SAME,), CONFIRMED])
def test_what_adds_no_finalist(search: Search, more: tuple[FakeTrial, ...]) -> None:
    found = finalists(search(*TRIALS, *more), "glow", 5)
    assert [finalist.number for finalist in found] == [2, 1, 3]


def test_nothing_to_confirm(search: Search) -> None:
    results = search(TRIALS[4], TRIALS[6])
    with pytest.raises(MollituneError, match="so there is nothing to confirm"):
        finalists(results, "glow", 3)
    with pytest.raises(MollituneError, match="has no model 'maf'"):
        finalists(results, "maf", 3)


def test_what_was_tried_is_found_by_its_curve(results: Results) -> None:
    assert tried(results, "glow", *plain(build("vanilla"))) == 0
    assert tried(results, "glow", *plain(TRIALS[2].schedule)) == 2
    assert tried(results, "glow", *plain(build("linear", until=0.123))) is None
    assert tried(results, "vae", *plain(TRIALS[2].schedule)) is None


def test_at_another_budget_it_is_another_configuration(search: Search) -> None:
    longer = FakeTrial(20, TRIALS[2].schedule, 12.0, scale=4.0)
    results = search(*TRIALS, longer)
    (wanted,) = plain(TRIALS[2].schedule)
    assert [tried(results, "glow", wanted.at(scale)) for scale in (1, 4, 16)] == [2, 20, None]
    found = finalists(results, "glow", 5)
    assert [own.configuration.schedule for own in found].count(wanted.schedule) == 1
    board = configurations_of(results.reports[results.reports["comparable"]])[0]
    assert [own.scale for own in board if own].count(4.0) == 1
