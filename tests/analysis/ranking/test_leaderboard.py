import dataclasses
import math

import pytest
from tests.analysis.conftest import PARAMS, TRIALS, FakeTrial, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.analysis.ranking import leaderboard
from mollitune.schedules import build
from mollitune.search.store.writer import Store


def test_finished_configurations_are_ranked_within_their_model(results: Results) -> None:
    board = leaderboard(results)
    found = board[["model", "rank", "configuration", "fid_expected", "difference"]]
    assert list(found.itertuples(index=False, name=None)) == [
        ("glow", 1, 2, 20.0, -10.0),
        ("glow", 2, 1, 25.0, -5.0),
        ("glow", 3, 0, 30.0, 0.0),
        ("glow", 4, 3, 35.0, 5.0),
        ("vae", 1, 6, 50.0, 0.0),
        ("vae", 2, 7, 55.0, 5.0),
    ]


def test_one_model(results: Results) -> None:
    assert set(leaderboard(results, "vae")["model"]) == {"vae"}


def test_schedules_are_readable(results: Results) -> None:
    assert leaderboard(results, "glow")["schedule"].tolist() == [
        "sigmoid(start=-2, tau=1, until=0.6)",
        "linear(until=0.5)",
        "vanilla",
        "blur(sigma_max=4, until=0.3)",
    ]


def test_unregistered_family_shows_all_parameters(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:1])
    with Store.open(location, PARAMS) as store:
        stranger = {"family": "stairs", "params.until": 0.25, "params.peak": 1.0}
        store.report({**FakeTrial(9, build("vanilla"), 10.0).report(1.0), **stranger})
    board = leaderboard(load_results(location))
    assert board["schedule"].iloc[0] == "stairs(peak=1, until=0.25)"


def test_unknown_model(results: Results) -> None:
    with pytest.raises(MollituneError, match="has no model 'gan'; it has: glow, vae"):
        leaderboard(results, "gan")


def test_nothing_finished(make_search: MakeSearch) -> None:
    running = FakeTrial(0, build("vanilla"), 30.0, status="running", end=0.4)
    board = leaderboard(load_results(make_search((running,))))
    assert len(board) == 0
    full = leaderboard(load_results(make_search(name="full")))
    assert board.dtypes.to_dict() == full.dtypes.to_dict()


def test_without_vanilla_there_is_no_difference(make_search: MakeSearch) -> None:
    board = leaderboard(load_results(make_search(TRIALS[1:3])))
    assert board["difference"].isna().all()
    assert board["rank"].tolist() == [1, 2]


def test_seeds_of_a_configuration_share_a_row(make_search: MakeSearch) -> None:
    again = dataclasses.replace(TRIALS[1], number=20, configuration=1, final=29.0, seed=8)
    board = leaderboard(load_results(make_search((*TRIALS[:3], again))))
    row = board[board["configuration"] == 1].iloc[0]
    assert (row["runs"], row["trials"]) == (2, "1, 20")
    assert (row["fid_mean"], row["fid_lowest"], row["fid_expected"]) == (27.0, 25.0, 27.0)
    assert row["fid_sd"] == pytest.approx(8**0.5)
    assert row["fid_low"] < 27 < row["fid_high"]
    assert row["bpd_mean"] == pytest.approx(3.27)
    alone = board[board["configuration"] == 2].iloc[0]
    assert math.isnan(alone["fid_sd"])
    assert alone["fid_high"] / 20 > row["fid_high"] / 27


def test_vanilla_is_the_mean_over_its_seeds(make_search: MakeSearch) -> None:
    again = dataclasses.replace(TRIALS[0], number=20, configuration=0, final=40.0, seed=8)
    board = leaderboard(load_results(make_search((*TRIALS[:3], again))))
    assert set(board["vanilla_mean"]) == {35.0}
    assert set(board["vanilla_expected"]) == {35.0}


def test_differences_are_those_of_the_expected_fids(make_search: MakeSearch) -> None:
    """From 8 configurations on, vanilla's one lucky run is pulled up like any other."""
    weak = [FakeTrial(i, build("linear", until=0.01 * i), 30.0 + i % 3) for i in range(1, 9)]
    board = leaderboard(load_results(make_search((FakeTrial(0, build("vanilla"), 20.0), *weak))))
    vanilla = board[board["family"] == "vanilla"].iloc[0]
    assert vanilla["vanilla_mean"] == 20.0 < vanilla["fid_expected"]
    assert vanilla["difference"] == 0.0
    wanted = board["fid_expected"] - board["vanilla_expected"]
    assert board["difference"].tolist() == wanted.tolist()
    assert board["fid_expected"].is_monotonic_increasing


@pytest.mark.parametrize(
    "change",
    [
        {"extractor": "inception"},
        {"extractor_sha256": "1" * 64},
        {"fid_samples": 5000},
        {"fid_reference_size": 5000},
        {"step": 2000},
        {"dataset": "mnist"},
    ],
)
def test_values_that_were_measured_differently_are_ranked_apart(
    make_search: MakeSearch, change: dict[str, object]
) -> None:
    location = make_search(TRIALS[:2])
    with Store.open(location, PARAMS) as store:
        store.report({**FakeTrial(9, build("linear"), 1.0).report(0.0), "step": 1})
        other = FakeTrial(10, build("linear", until=0.5), 1.0)
        store.report({**other.report(1.0), **change})
    board = leaderboard(load_results(location))
    alone = board[board["configuration"] == 10].iloc[0]
    assert alone["rank"] == 1
    assert math.isnan(alone["difference"])
    assert board[board["configuration"] == 1]["rank"].tolist() == [1]


def test_tied_configurations_share_a_rank(make_search: MakeSearch) -> None:
    tied = dataclasses.replace(TRIALS[1], number=20)
    board = leaderboard(load_results(make_search((TRIALS[0], TRIALS[1], tied))))
    assert board["rank"].tolist() == [1, 1, 3]
    assert board["configuration"].tolist() == [1, 20, 0]
