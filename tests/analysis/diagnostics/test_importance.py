"""Importances on invented results whose truth is known."""

import dataclasses
import logging
from collections.abc import Callable

import numpy as np
import optuna
import pandas as pd
import pytest
from tests.analysis.conftest import PARAMS, TRIALS, FakeTrial, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.analysis.diagnostics.importance import FEWEST, importance
from mollitune.schedules import Schedule, build, shape_features
from mollitune.search.store.writer import Store

FidOf = Callable[[Schedule, np.random.Generator], float]


def pool(count: int, rng: np.random.Generator) -> list[Schedule]:
    """Schedules of three families, as a search draws them, after vanilla."""
    kinds = (
        lambda: build("linear", until=rng.uniform(0.1, 0.9)),
        lambda: build(
            "sigmoid",
            start=rng.uniform(-3, 0),
            end=rng.uniform(1, 6),
            tau=rng.uniform(0.2, 1.5),
            until=rng.uniform(0.1, 0.9),
        ),
        lambda: build(
            "blur",
            sigma_max=rng.uniform(0.5, 8),
            until=rng.uniform(0.1, 0.9),
            curve=str(rng.choice(["linear", "sine"])),
        ),
    )
    return [build("vanilla"), *(kinds[i % len(kinds)]() for i in range(count - 1))]


def searched(make_search: MakeSearch, count: int, fid: FidOf, seeds: int = 1) -> Results:
    """A search whose final FIDs follow a law, twice as high with each further seed."""
    rng = np.random.default_rng(4)
    location = make_search((), name="law")
    with Store.open(location, PARAMS) as store:
        for number, schedule in enumerate(pool(count, rng)):
            for seed in range(seeds):
                trial = FakeTrial(
                    number + seed * count,
                    schedule,
                    fid(schedule, rng) * 2**seed,
                    seed=seed,
                    configuration=number,
                )
                store.report(trial.report(1.0))
                store.trial(trial.row())
    return load_results(location)


def by_length(schedule: Schedule, rng: np.random.Generator) -> float:
    return 20 * float(np.exp(schedule.until + 0.1 * rng.normal()))


def by_landing(schedule: Schedule, rng: np.random.Generator) -> float:
    return 20 + 5 * shape_features(schedule)["end_slope"] + float(rng.normal())


def by_family(schedule: Schedule, rng: np.random.Generator) -> float:
    return (60 if schedule.family == "blur" else 30) + float(rng.normal())


def by_tau(schedule: Schedule, rng: np.random.Generator) -> float:
    return 10 * getattr(schedule, "tau", 3.0) + 20 + float(rng.normal())


def noise(_: Schedule, rng: np.random.Generator) -> float:
    return 30 * float(np.exp(0.1 * rng.normal()))


def first_of(table: pd.DataFrame, kind: str, within: str = "all") -> pd.Series:
    return table[(table["kind"] == kind) & (table["within"] == within)].iloc[0]


@pytest.mark.parametrize(
    ("fid", "kind", "within", "name"),
    [
        (by_length, "shape", "all", "clean_share"),
        (by_landing, "shape", "all", "end_slope"),
        (by_length, "parameter", "all", "until"),
        (by_family, "parameter", "all", "family"),
        (by_tau, "parameter", "sigmoid", "sigmoid.tau"),
    ],
)
def test_what_drives_fid_comes_first_and_is_no_luck(
    make_search: MakeSearch, fid: FidOf, kind: str, within: str, name: str
) -> None:
    table = importance(searched(make_search, 60, fid), kind=kind)
    found = first_of(table, kind, within)
    assert found["name"] == name
    assert found["low"] > 0.5
    assert found["importance"] > found["chance"]
    others = table[(table["within"] == within) & (table["name"] != name)]
    assert (others["importance"] < 0.3).all()


def test_noise_is_important_to_nobody(make_search: MakeSearch) -> None:
    """24 trials are the default of a search: luck makes large shares, and the table says so."""
    table = importance(searched(make_search, 24, noise))
    assert (table["importance"] < table["chance"]).mean() > 0.7
    shape = table[table["kind"] == "shape"]
    assert (shape["low"] < 0.05).all()
    assert (shape["high"] - shape["low"] > 0.2).sum() >= 2


def test_the_table_reads_from_the_general_to_the_special(make_search: MakeSearch) -> None:
    table = importance(searched(make_search, 60, by_tau))
    groups = list(dict.fromkeys(zip(table["kind"], table["within"], strict=True)))
    assert groups == [("parameter", "all"), ("parameter", "sigmoid"), ("shape", "all")]
    for _, own in table.groupby(["kind", "within"]):
        assert own["importance"].is_monotonic_decreasing
    assert table["low"].ge(0).all()
    assert table["high"].le(1).all()
    assert table["importance"].between(table["low"], table["high"]).all()
    names = set(table.loc[table["within"] == "sigmoid", "name"])
    assert names == {"sigmoid.start", "sigmoid.end", "sigmoid.tau", "sigmoid.until"}
    counts = dict(zip(table["within"], table["configurations"], strict=True))
    assert counts == {"all": 60, "sigmoid": 20}


def test_another_family_and_its_choices(make_search: MakeSearch) -> None:
    def by_curve(schedule: Schedule, rng: np.random.Generator) -> float:
        return (20 if getattr(schedule, "curve", "") == "sine" else 40) + float(rng.normal())

    results = searched(make_search, 60, by_curve)
    table = importance(results, kind="parameter", family="blur")
    assert first_of(table, "parameter", "blur")["name"] == "blur.curve"
    assert "linear" not in set(table["within"])


def test_seeds_are_averaged_before_anything_else(make_search: MakeSearch) -> None:
    """Seeds that move FID more than schedules do, but alike for all, hide nothing."""
    table = importance(searched(make_search, 30, by_length, seeds=3), kind="parameter")
    found = first_of(table, "parameter")
    assert (found["name"], found["configurations"]) == ("until", 30)
    assert found["low"] > 0.5


def test_the_same_results_give_the_same_numbers(make_search: MakeSearch) -> None:
    results = searched(make_search, 12, noise)
    assert importance(results, kind="shape").equals(importance(results, kind="shape"))


def test_few_configurations_say_nothing(make_search: MakeSearch, results: Results) -> None:
    empty = importance(results)
    assert len(empty) == 0
    enough = importance(searched(make_search, FEWEST, noise), kind="shape")
    assert set(enough["configurations"]) == {FEWEST}
    assert empty.dtypes.to_dict() == enough.dtypes.to_dict()


def test_models_are_analysed_apart(make_search: MakeSearch) -> None:
    rng = np.random.default_rng(0)
    glow = [FakeTrial(i, s, by_length(s, rng)) for i, s in enumerate(pool(12, rng))]
    vae = [dataclasses.replace(t, number=t.number + 50, model="vae", final=9.0) for t in glow]
    results = load_results(make_search((*glow, *vae)))
    table = importance(results, kind="shape")
    assert list(dict.fromkeys(table["model"])) == ["glow", "vae"]
    assert table[table["model"] == "glow"].equals(importance(results, "glow", "shape"))
    # the vae's FIDs are all the same, so nothing explains them
    numbers = ["importance", "low", "high", "chance"]
    assert (table.loc[table["model"] == "vae", numbers] == 0).all(axis=None)


def test_what_never_varied_is_left_out(make_search: MakeSearch) -> None:
    rng = np.random.default_rng(0)
    trials = [
        FakeTrial(i, build("linear", until=u), 30 + float(rng.normal()))
        for i, u in enumerate(np.linspace(0.1, 0.9, 9))
    ]
    table = importance(load_results(make_search(tuple(trials))), kind="parameter")
    assert list(zip(table["within"], table["name"], strict=True)) == [
        ("all", "until"),
        ("linear", "linear.until"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "gan"}, "has no model 'gan'"),
        ({"kind": "params"}, "no kind 'params' of importance; there are: parameter, shape"),
        ({"family": "knots"}, "has no family 'knots'; it has: blur, cosine, linear, sigmoid, van"),
        ({"family": "blur", "model": "vae"}, "has no family 'blur'; it has: linear, vanilla"),
    ],
)
def test_what_is_not_there(results: Results, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(MollituneError, match=message):
        importance(results, **arguments)


def test_fids_measured_in_different_ways_are_refused(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:3])
    with Store.open(location, PARAMS) as store:
        store.report({**FakeTrial(9, build("vanilla"), 10.0).report(1.0), "fid_samples": 5000})
    with pytest.raises(MollituneError, match="they differ in fid_samples"):
        importance(load_results(location))


def test_optuna_stays_silent_and_as_it_was(
    make_search: MakeSearch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.INFO)
    try:
        importance(searched(make_search, FEWEST, noise), kind="shape")
        assert optuna.logging.get_verbosity() == logging.INFO
    finally:
        optuna.logging.set_verbosity(before)
    assert capfd.readouterr() == ("", "")
