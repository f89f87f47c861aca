import dataclasses
import math
from importlib import import_module
from typing import Any

import pandas as pd
import pytest
from tests.analysis.conftest import TRIALS, FakeTrial, Search, stranger

from mollitune._errors import MollituneError
from mollitune.analysis import Results, write_report
from mollitune.analysis.ranking import best, leaderboard
from mollitune.analysis.ranking.expectation import Expectation, expectations
from mollitune.analysis.ranking.finalists import finalists
from mollitune.schedules import build


def test_finished_configurations_are_ranked_within_their_model(results: Results) -> None:
    board = leaderboard(results)
    columns = ["model", "rank", "configuration", "fid_expected", "difference", "schedule"]
    assert list(board[columns].itertuples(index=False, name=None)) == [
        ("glow", 1, 2, 20.0, -10.0, "sigmoid(start=-2, tau=1, until=0.6)"),
        ("glow", 2, 1, 25.0, -5.0, "linear(until=0.5)"),
        ("glow", 3, 0, 30.0, 0.0, "vanilla"),
        ("glow", 4, 3, 35.0, 5.0, "blur(sigma_max=4, until=0.3)"),
        ("vae", 1, 6, 50.0, 0.0, "vanilla"),
        ("vae", 2, 7, 55.0, 5.0, "linear(until=0.7)"),
    ]
    vae = board[board["model"] == "vae"].reset_index(drop=True)
    assert leaderboard(results, "vae").equals(vae)


def test_a_report_fits_each_model_once(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def counted(*arguments: Any) -> list[Expectation]:
        sizes.append(len(arguments[0]))
        return expectations(*arguments)

    module = import_module("mollitune.analysis.ranking.leaderboard")
    monkeypatch.setattr(module, "expectations", counted)
    write_report(results)
    assert sizes == [4, 2]  # configurations of glow and of vae
    board = leaderboard(results)
    board["fid_expected"] = 0.0  # whoever changes a board changes his own
    assert best(results).fid_expected == 20.0
    assert sizes == [4, 2]


def row_of(board: pd.DataFrame, configuration: int) -> pd.Series:
    return board[board["configuration"] == configuration].iloc[0]


def test_unregistered_family_shows_all_parameters(search: Search) -> None:
    board = leaderboard(search(TRIALS[0], reports=[stranger(until=0.25, peak=1.0)]))
    assert board["schedule"].iloc[0] == "stairs(peak=1, until=0.25)"


def test_unknown_model(results: Results) -> None:
    with pytest.raises(MollituneError, match="has no model 'gan'; it has: glow, vae"):
        leaderboard(results, "gan")


def test_nothing_finished(search: Search, results: Results) -> None:
    running = FakeTrial(0, build("vanilla"), 30.0, status="running", end=0.4)
    board = leaderboard(search(running))
    assert len(board) == 0
    assert board.dtypes.to_dict() == leaderboard(results).dtypes.to_dict()


def test_without_vanilla_there_is_no_difference(search: Search) -> None:
    board = leaderboard(search(*TRIALS[1:3]))
    assert board["difference"].isna().all()
    assert board["rank"].tolist() == [1, 2]


def test_seeds_of_a_configuration_share_a_row(search: Search) -> None:
    again = TRIALS[1].again(number=20, final=29.0, seed=8)
    vanilla = TRIALS[0].again(number=21, final=40.0, seed=8)
    board = leaderboard(search(*TRIALS[:3], again, vanilla))
    row, alone = row_of(board, 1), row_of(board, 2)
    assert (row["runs"], row["trials"]) == (2, "1, 20")
    assert (row["fid_mean"], row["fid_lowest"], row["fid_expected"]) == (27.0, 25.0, 27.0)
    assert row["fid_sd"] == pytest.approx(8**0.5)
    assert row["fid_low"] < 27 < row["fid_high"]
    assert row["bpd_mean"] == pytest.approx(3.27)
    assert math.isnan(alone["fid_sd"])
    assert alone["fid_high"] / 20 > row["fid_high"] / 27
    assert set(board["vanilla_mean"]) == set(board["vanilla_expected"]) == {35.0}


def test_differences_are_those_of_the_expected_fids(search: Search) -> None:
    """From 8 configurations on, vanilla's one lucky run is pulled up like any other."""
    weak = [FakeTrial(i, build("linear", until=0.01 * i), 30.0 + i % 3) for i in range(1, 9)]
    board = leaderboard(search(FakeTrial(0, build("vanilla"), 20.0), *weak))
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
        {"budget": 256_000},
        {"dataset": "mnist"},
    ],
)
def test_values_that_were_measured_differently_are_ranked_apart(
    search: Search, change: dict[str, object]
) -> None:
    early = {**FakeTrial(9, build("linear"), 1.0).report(0.0), "step": 1}
    other = {**FakeTrial(10, build("linear", until=0.5), 1.0).report(1.0), **change}
    board = leaderboard(search(*TRIALS[:2], reports=[early, other]))
    alone, first = row_of(board, 10), row_of(board, 1)
    assert (alone["rank"], first["rank"]) == (1, 1)
    assert math.isnan(alone["difference"])


def test_tied_configurations_share_a_rank(search: Search) -> None:
    board = leaderboard(search(*TRIALS[:2], dataclasses.replace(TRIALS[1], number=20)))
    assert board["rank"].tolist() == [1, 1, 3]
    assert board["configuration"].tolist() == [1, 20, 0]


BPD: dict[str, Any] = {"objective": {"column": "bpd", "negated": False}}
KEPT: dict[str, Any] = {
    "constraint": {
        "metric": {"column": "bpd", "negated": False},
        "bound": {"limit": 0.05, "relative": True},
    }
}


def with_bits(trial: FakeTrial, bpd: float) -> dict[str, Any]:
    return {**trial.report(1.0), "bpd": bpd}


def test_another_metric_is_ranked_and_named(search: Search) -> None:
    """The lowest FID has the most bits per dim."""
    bits = [with_bits(TRIALS[0], 3.0), with_bits(TRIALS[1], 2.5), with_bits(TRIALS[2], 4.0)]
    found = search(*TRIALS[:3], reports=bits, metadata=BPD)
    board = leaderboard(found)
    assert board["configuration"].tolist() == [1, 0, 2]
    assert board["bpd_expected"].tolist() == board["bpd_mean"].tolist() == [2.5, 3.0, 4.0]
    assert board["difference"].tolist() == [-0.5, 0.0, 1.0]
    assert not [
        name for name in map(str, board) if name.startswith("fid_") and name != "fid_samples"
    ]
    assert best(found).sentence == (
        "On glow, linear(until=0.5) looks best: expected bits per dim 2.50, vanilla 3.00; not "
        "confirmed yet."
    )
    higher = {"objective": {"column": "bpd", "negated": True}}
    turned = leaderboard(search(*TRIALS[:3], reports=bits, metadata=higher))
    assert turned["configuration"].tolist() == [2, 0, 1]
    assert turned["negative_bpd_expected"].tolist() == [-4.0, -3.0, -2.5]


@pytest.mark.parametrize("shift", [-4.0, 0.0, 10.0])
def test_nats_are_ranked_and_told_alike_on_both_sides_of_zero(
    search: Search, shift: float
) -> None:
    """A density has no zero: other units of a column shift all negative log-likelihoods alike."""
    nats = [
        {**t.report(1.0), "nll": shift + v} for t, v in zip(TRIALS, (2.0, 1.0, 3.5), strict=False)
    ]
    metadata = {"objective": {"column": "nll", "negated": False}}
    board = leaderboard(search(*TRIALS[:3], reports=nats, metadata=metadata))
    assert board["configuration"].tolist() == [1, 0, 2]
    assert board["difference"].tolist() == pytest.approx([-1.0, 0.0, 1.5])
    assert board["nll_mean"].tolist() == pytest.approx([shift + 1, shift + 2, shift + 3.5])


def test_what_keeps_the_constraint_comes_first(search: Search) -> None:
    bits = [with_bits(TRIALS[0], 3.0), with_bits(TRIALS[1], 3.04), with_bits(TRIALS[2], 3.2)]
    found = search(*TRIALS[:3], reports=bits, metadata=KEPT)
    board = leaderboard(found)
    assert board["configuration"].tolist() == [1, 0, 2]
    assert board["allowed"].tolist() == [True, True, False]
    assert board["rank"].tolist() == [1, 2, 3]
    own = best(found)
    assert (own.configuration, own.lowest_configuration) == (1, 2)
    kept = "; 2 of 3 configurations keep bits per dim <= vanilla + 0.05; not confirmed yet."
    assert own.sentence.endswith(kept)
    assert [one.number for one in finalists(found, "glow", 5)] == [1]
    nobody = {"constraint": {**KEPT["constraint"], "bound": {"limit": 1.0, "relative": False}}}
    none = search(*TRIALS[:3], reports=bits, metadata=nobody)
    assert best(none).configuration == 2
    assert "; none of 3 configurations keeps bits per dim <= 1, this" in best(none).sentence
    assert [one.number for one in finalists(none, "glow", 5)] == [2, 1]


def test_a_damaged_description_is_named(search: Search) -> None:
    for key, told in (("objective", {"colum": "bpd"}), ("objective", 3), ("constraint", {})):
        found = search(*TRIALS[:2], metadata={key: told})
        with pytest.raises(MollituneError, match=f"search.json of 'fake' is damaged at {key}"):
            leaderboard(found)
