import dataclasses

import numpy as np
import pytest
from scipy.stats import ttest_rel
from tests.analysis.conftest import TRIALS, Search
from tests.analysis.conftest import runs_of as runs

from mollitune._errors import MollituneError
from mollitune.analysis import Results, paired_fids
from mollitune.analysis.ranking import compare, leaderboard
from mollitune.schedules import build

VANILLA, LINEAR = build("vanilla"), build("linear", until=0.5)
FIDS = {"vanilla": [30.0, 34.0, 31.0, 40.0], "linear": [25.0, 31.0, 24.0]}


PAIR = (*runs(VANILLA, [30.0, 34.0], 0, 0), *runs(LINEAR, [20.0, 22.0], 1, 10))


@pytest.fixture
def paired(search: Search) -> Results:
    """Vanilla as configuration 0 with four seeds, linear as 1 with three of them."""
    return search(*runs(VANILLA, FIDS["vanilla"], 0, 0), *runs(LINEAR, FIDS["linear"], 1, 10))


def test_pairs_by_seed(paired: Results) -> None:
    pairs = paired_fids(paired, 1, 0)
    found = pairs[["stage", "seed", "fid_one", "fid_other", "difference"]]
    assert list(found.itertuples(index=False, name=None)) == [
        ("search", 0, 25.0, 30.0, -5.0),
        ("search", 1, 31.0, 34.0, -3.0),
        ("search", 2, 24.0, 31.0, -7.0),
    ]


def test_the_interval_is_that_of_the_paired_t_test(paired: Results) -> None:
    row = compare(paired, 1, 0).iloc[0]
    expected = ttest_rel(FIDS["linear"], FIDS["vanilla"][:3]).confidence_interval(0.9)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["difference"] == -5.0
    assert row["error"] == pytest.approx(2 / 3**0.5)
    assert (row["seeds"], row["fid_one"], row["fid_other"]) == (3, 80 / 3, 95 / 3)
    assert (row["schedule_one"], row["schedule_other"]) == ("linear(until=0.5)", "vanilla")
    assert (row["extractor"], row["fid_samples"], row["step"]) == ("lenet", 500, 1000)


def test_the_other_way_round(paired: Results) -> None:
    forth, back = compare(paired, 1, 0).iloc[0], compare(paired, 0, 1).iloc[0]
    assert back["difference"] == -forth["difference"]
    assert (back["low"], back["high"]) == pytest.approx((-forth["high"], -forth["low"]))


def test_a_family_stands_for_its_best_configuration(search: Search) -> None:
    results = search(*PAIR, *runs(build("linear", until=0.7), [15.0, 16.0], 2, 20))
    assert compare(results, "linear").equals(compare(results, 2, 0))
    number = leaderboard(results)["configuration"].iloc[0]  # NumPy's integers are numbers too
    assert compare(results, number, "vanilla").equals(compare(results, 2, 0))


def test_a_number_tells_the_model_of_a_family(search: Search) -> None:
    row = compare(search(*PAIR, *runs(VANILLA, [50.0, 54.0], 2, 20, model="vae")), 1).iloc[0]
    assert (row["model"], row["other"], row["difference"]) == ("glow", 0, -11.0)


def test_confirmation_stands_apart(search: Search) -> None:
    fresh = runs(VANILLA, [31.0, 33.0, 32.0], 0, 20, stage="confirm")
    fresh += runs(LINEAR, [30.0, 32.0, 34.0], 1, 30, stage="confirm")
    table = compare(search(*PAIR, *fresh), 1, 0)[["stage", "seeds", "difference"]]
    assert table.to_numpy().tolist() == [["search", 2, -11.0], ["confirm", 3, 0.0]]
    # a single seed has no interval
    row = compare(search(*PAIR, fresh[0], fresh[3]), 1, 0).iloc[1]
    assert (row["seeds"], row["difference"]) == (1, -1.0)
    assert np.isnan([row["error"], row["low"], row["high"]]).all()


@pytest.mark.parametrize("change", [{"fid_samples": 5000}, {"fid_reference": "test"}])
def test_fids_measured_in_different_ways_are_never_paired(
    search: Search, change: dict[str, object]
) -> None:
    other = [*runs(VANILLA, [0.0] * 4, 0, 20), *runs(LINEAR, [7.0] * 3, 1, 30)]
    rows = [{**trial.report(1.0), **change} for trial in other]
    # only one of the two was measured so for seed 9
    rows.append(dataclasses.replace(other[0], number=40, seed=9).report(1.0))
    table = compare(search(*PAIR, reports=rows), 1, 0)
    assert sorted(zip(table["seeds"], table["difference"], strict=True)) == [(2, -11.0), (3, 7.0)]


def test_runs_that_were_stopped_do_not_count(search: Search) -> None:
    short = runs(LINEAR, [1.0, 1.0], 1, 10, status="stopped", end=0.6)
    with pytest.raises(MollituneError, match="fewer than 2 seeds in common"):
        compare(search(*PAIR[:2], *short), 1, 0)


def test_too_few_seeds_in_common(results: Results) -> None:
    message = "configurations 1 and 0 of 'fake' have fewer than 2 seeds in common: search with"
    with pytest.raises(MollituneError, match=message):
        compare(results, 1, 0)
    assert len(paired_fids(results, 1, 0)) == 1
    empty = paired_fids(results, 4, 0)
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == paired_fids(results, 1, 0).dtypes.to_dict()


@pytest.mark.parametrize(
    ("one", "other", "model", "message"),
    [
        (99, 0, None, "has no configuration 99"),
        (0, 6, None, "are of different models, glow and vae; compare schedules of one model"),
        (6, 7, "glow", "configuration 6 of 'fake' is of model vae, not of glow"),
        (0, "vanilla", "glow", "0 and 'vanilla' are the same configuration 0"),
        ("linear", "vanilla", None, "tried on several models of 'fake': glow, vae; name the mod"),
        ("knots", 0, "glow", "no complete run of the family 'knots' in 'fake'; there are: blur, "),
        (0, 1, "gan", "has no model 'gan'"),
    ],
)
def test_what_cannot_be_compared(
    results: Results, one: int | str, other: int | str, model: str | None, message: str
) -> None:
    with pytest.raises(MollituneError, match=message):
        compare(results, one, other, model)


def test_nothing_has_finished(search: Search) -> None:
    running = dataclasses.replace(TRIALS[1], status="running", end=0.4)
    with pytest.raises(MollituneError, match=r"no complete run of the family 'linear'.*none yet"):
        compare(search(running), "linear")
