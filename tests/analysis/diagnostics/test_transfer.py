import math
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from tests.analysis.conftest import FakeTrial, Search, stranger
from tests.search.policy.worlds import plain

from mollitune._errors import MollituneError
from mollitune.analysis import Results
from mollitune.analysis.diagnostics.transfer import transfer
from mollitune.analysis.ranking.leaderboard import leaderboard
from mollitune.schedules import Schedule, build
from mollitune.search.policy.surrogate import ShapeSurrogate

VANILLA = build("vanilla")


def tried(model: str, first: int, fids: dict[Schedule, float]) -> list[FakeTrial]:
    """One run of each schedule on a model, numbered from ``first`` on."""
    pairs = enumerate(fids.items(), first)
    return [FakeTrial(number, s, fid, model=model) for number, (s, fid) in pairs]


def lines(*untils: float) -> list[Schedule]:
    return [build("linear", until=until) for until in untils]


SHORT, MIDDLE, LONG = lines(0.2, 0.5, 0.8)
GLOW = {VANILLA: 30.0, SHORT: 20.0, MIDDLE: 25.0, LONG: 40.0}
VAE = {VANILLA: 50.0, SHORT: 60.0, MIDDLE: 45.0, LONG: 70.0}
ON_VAE = tried("vae", 10, VAE)


def row(results: Results, winner_of: str, on: str) -> pd.Series:
    table = transfer(results)
    return table[(table["winner_of"] == winner_of) & (table["on"] == on)].iloc[0]


@pytest.fixture
def two_models(search: Search) -> Results:
    return search(*tried("glow", 0, GLOW), *ON_VAE)


def test_where_the_winner_of_one_model_stands_on_the_other(two_models: Results) -> None:
    found = row(two_models, "glow", "vae")
    assert (found["configuration"], found["schedule"]) == (1, "linear(until=0.2)")
    assert (found["source"], found["configuration_on"], found["runs"]) == ("measured", 11, 1)
    assert (found["rank"], found["ranked"], found["fid_expected"]) == (3, 4, 60.0)
    assert (found["best_expected"], found["vanilla_expected"], found["regret"]) == (45, 50, 15)
    back = row(two_models, "vae", "glow")
    assert (back["configuration"], back["configuration_on"], back["rank"]) == (12, 2, 2)
    assert back["regret"] == 5.0


def test_every_ordered_pair_has_a_row(search: Search) -> None:
    table = transfer(search(*tried("glow", 0, GLOW), *ON_VAE, *tried("maf", 20, {VANILLA: 3.0})))
    pairs = list(zip(table["winner_of"], table["on"], strict=True))
    assert pairs == list(permutations(["glow", "maf", "vae"], 2))


def test_correlation_is_over_what_both_tried(two_models: Results) -> None:
    found = row(two_models, "glow", "vae")
    expected = spearmanr(list(GLOW.values()), list(VAE.values())).statistic
    assert (found["common"], found["correlation"]) == (4, pytest.approx(expected))
    assert -1 < found["correlation_low"] < found["correlation"] < found["correlation_high"] < 1
    assert row(two_models, "vae", "glow")["correlation"] == pytest.approx(expected)


def test_few_in_common_have_no_correlation(search: Search) -> None:
    fewer = {VANILLA: 50.0, MIDDLE: 45.0, SHORT: 60.0}
    found = row(search(*tried("glow", 0, GLOW), *tried("vae", 10, fewer)), "glow", "vae")
    assert found["common"] == 3
    assert np.isnan([found["correlation"], found["correlation_low"]]).all()


def test_curves_are_matched_and_not_names(search: Search) -> None:
    """A sigmoid of the same curve with other numbers, and one that is a little further off."""
    winner = build("sigmoid", start=0.0, end=3.0, tau=1.0, until=0.6)
    twin = build("sigmoid", start=0.0, end=6.0, tau=2.0, until=0.6)
    near = build("sigmoid", start=0.0, end=3.0, tau=1.0, until=0.605)
    glow = tried("glow", 0, {VANILLA: 30.0, winner: 20.0})
    vae = tried("vae", 10, {VANILLA: 50.0, near: 1.0, twin: 45.0})
    found = row(search(*glow, *vae), "glow", "vae")
    assert (found["configuration_on"], found["source"]) == (12, "measured")


def test_vanilla_may_win_and_transfers_too(search: Search) -> None:
    glow = tried("glow", 0, {VANILLA: 10.0, MIDDLE: 20.0})
    found = row(search(*glow, *ON_VAE), "glow", "vae")
    assert (found["schedule"], found["configuration_on"], found["rank"]) == ("vanilla", 10, 2)


def test_what_was_not_tried_is_predicted_and_says_so(search: Search) -> None:
    """On glow long noise is good; the vae has tried nine others and gets worse with length."""
    others = dict(zip(lines(*np.linspace(0.1, 0.65, 9)), np.linspace(50, 61, 9), strict=True))
    glow = {VANILLA: 30.0, LONG: 20.0}
    results = search(*tried("glow", 0, glow), *tried("vae", 10, others))
    found = row(results, "glow", "vae")
    assert (found["source"], found["runs"], found["common"]) == ("predicted", 0, 0)
    assert pd.isna(found["configuration_on"])
    runs = list(others.items())
    seeds = [[7]] * len(runs)
    surrogate = ShapeSurrogate(plain(*others), [[fid] for _, fid in runs], seeds)
    belief = surrogate.at(plain(LONG))
    assert found["fid_expected"] == pytest.approx(belief.fid[0])
    assert found["fid_low"] < found["fid_expected"] < found["fid_high"]
    board = leaderboard(results, "vae")
    assert found["rank"] == 1 + (board["fid_expected"] < found["fid_expected"]).sum()
    assert found["rank"] > 7
    assert found["regret"] == found["fid_expected"] - board["fid_expected"].min() > 0
    assert math.isnan(found["vanilla_expected"])


def test_with_too_few_schedules_nothing_is_predicted(search: Search) -> None:
    glow = tried("glow", 0, {VANILLA: 30.0, build("cosine", until=0.9): 20.0})
    found = row(search(*glow, *ON_VAE), "glow", "vae")
    assert found["source"] == "unknown"
    assert pd.isna(found["rank"])
    assert np.isnan([found["fid_expected"], found["regret"]]).all()
    assert found["best_expected"] == 45.0


def test_a_family_that_is_not_registered_here_is_unknown(search: Search) -> None:
    many = dict(zip(lines(*np.linspace(0.1, 0.9, 9)), np.linspace(50, 60, 9), strict=True))
    trials = (*tried("glow", 0, {VANILLA: 30.0}), *tried("vae", 10, many))
    results = search(*trials, reports=[stranger(until=0.25)])
    found = row(results, "glow", "vae")
    assert (found["schedule"], found["source"]) == ("stairs(until=0.25)", "unknown")
    assert row(results, "vae", "glow")["ranked"] == 2


def test_one_model_gives_no_rows(search: Search, two_models: Results) -> None:
    alone = transfer(search(*ON_VAE))
    assert len(alone) == 0
    assert alone.dtypes.to_dict() == transfer(two_models).dtypes.to_dict()


def test_fids_measured_in_different_ways_are_refused(search: Search) -> None:
    other = {**FakeTrial(30, MIDDLE, 1.0).report(1.0), "fid_samples": 5000}
    with pytest.raises(MollituneError, match=r"cannot be ranked: they differ in fid_samples"):
        transfer(search(*tried("glow", 0, GLOW), *ON_VAE, reports=[other]))
