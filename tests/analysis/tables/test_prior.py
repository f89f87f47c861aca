"""The runs of recorded searches, as a new search takes them."""

from pathlib import Path

import pytest

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.analysis.tables.prior import MOST, Wanted, earlier_runs
from mollitune.schedules import Choice, Float
from mollitune.search.policy import Hyperspace
from mollitune.search.policy.earlier import Earlier
from mollitune.search.store import Objective

CURVES = Path(__file__).parents[3] / "benchmarks" / "curves"
FIXED = {"lr": 1e-3, "batch_size": 128, "lr_decay": "constant"}
SEARCHED = Hyperspace(
    {"lr": Float(1e-3, 1e-2, log=True), "lr_decay": Choice(("cosine", "constant"))}
)


@pytest.fixture(scope="module")
def joint() -> Results:
    """Learning rate, decay, batch size and schedule were searched."""
    return load_results("digitsjoint-realnvp", CURVES)


@pytest.fixture(scope="module")
def schedules() -> Results:
    """Schedules alone were searched."""
    return load_results("digits-realnvp", CURVES)


def told(wanted: Wanted, *searches: Results) -> Earlier:
    (found,) = earlier_runs(searches, wanted)
    return found


def test_values_and_seeds_are_those_of_the_search(schedules: Results) -> None:
    found = told(Wanted("realnvp", FIXED), schedules)
    assert (found.search, found.model, found.dataset) == ("digits-realnvp", "realnvp", "digits")
    complete = schedules.reports[schedules.reports["comparable"]]
    complete = complete[complete["stage"] == "search"]
    measured = set(zip(complete["fid"], complete["seed"], strict=True))
    for values, seeds in zip(found.values, found.seeds, strict=True):
        assert set(zip(values, seeds, strict=True)) < measured
    assert all(not own.settings and own.scale == 1 for own in found.configurations)
    assert len(set(found.configurations)) == len(found.configurations)
    assert Earlier.from_dict(found.to_dict()) == found


def test_of_very_many_runs_the_best_are_taken_and_a_spread(schedules: Results) -> None:
    found = told(Wanted("realnvp", FIXED), schedules)
    complete = schedules.reports[schedules.reports["comparable"]]
    means = complete[complete["stage"] == "search"].groupby("configuration")["fid"].mean()
    assert len(means) * 3 > MOST >= sum(map(len, found.values))
    own = [sum(values) / len(values) for values in found.values]
    assert min(own) == pytest.approx(means.min())
    assert max(own) > means.median()
    both = earlier_runs([schedules, schedules], Wanted("realnvp", FIXED))
    assert sum(len(values) for one in both for values in one.values) <= MOST


def test_what_was_tried_far_from_what_is_fixed_now_is_left_out(joint: Results) -> None:
    found = told(Wanted("realnvp", FIXED), joint)
    complete = joint.reports[(joint.reports["stage"] == "search") & joint.reports["comparable"]]
    alike = complete[
        (complete["params.batch_size"] == 128)
        & (complete["params.lr_decay"] == "constant")
        & complete["params.lr"].between(0, 1e-3 * 100**0.25)
    ]
    assert 0 < len(alike) < len(complete) / 4
    assert sorted(v for own in found.values for v in own) == sorted(alike["fid"])


def test_hyperparameters_are_those_that_the_search_had(schedules: Results, joint: Results) -> None:
    (without,) = {own.settings for own in told(asked(), schedules).configurations}
    low = SEARCHED.dimensions["lr"]
    assert isinstance(low, Float)
    # its config does not say: the middle of the range, and the first choice
    assert dict(without) == {
        "lr": pytest.approx((low.low * low.high) ** 0.5),
        "lr_decay": "cosine",
    }
    rates = {dict(own.settings)["lr"] for own in told(asked(), joint).configurations}
    assert len(rates) > 2
    assert min(rates) == low.low, "what lay outside lies at the end"


def asked() -> Wanted:
    return Wanted("realnvp", FIXED, SEARCHED)


def test_a_search_of_other_models_tells_of_all_of_them(joint: Results) -> None:
    assert told(Wanted("vae", FIXED), joint).model == "realnvp"


def test_budgets_are_multiples_of_the_new_length(joint: Results) -> None:
    scales = {
        own.scale
        for own in told(
            Wanted("realnvp", FIXED, images=15360 * 4, budgets=True), joint
        ).configurations
    }
    assert scales == {0.25}


def test_values_are_of_what_is_minimised_now(joint: Results) -> None:
    found = told(Wanted("realnvp", FIXED, objective=Objective("bpd")), joint)
    assert {v for own in found.values for v in own} < set(joint.reports["bpd"])


def test_a_search_that_tells_nothing_is_named(joint: Results) -> None:
    with pytest.raises(
        MollituneError,
        match="'digitsjoint-realnvp' has no complete run that says anything of the mind of",
    ):
        earlier_runs([joint], Wanted("realnvp", FIXED, objective=Objective("extra.mind")))
    with pytest.raises(MollituneError, match="leave it out"):
        earlier_runs([joint], Wanted("realnvp", {**FIXED, "batch_size": 512}))
