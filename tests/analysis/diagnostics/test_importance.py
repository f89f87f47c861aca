"""Importances on invented results whose truth is known."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.analysis.conftest import FakeTrial, Search

from mollitune._errors import MollituneError
from mollitune.analysis import Results
from mollitune.analysis.diagnostics.importance import FEWEST, importance
from mollitune.schedules import Schedule, build, shape_features

FidOf = Callable[[Schedule, np.random.Generator], float]


def pool(count: int, rng: np.random.Generator) -> list[Schedule]:
    """Schedules of three families, as a search draws them, after vanilla."""

    def draw(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def sigmoid() -> Schedule:
        own = {"start": draw(-3, 0), "end": draw(1, 6), "tau": draw(0.2, 1.5)}
        return build("sigmoid", **own, until=draw(0.1, 0.9))

    def blur() -> Schedule:
        own = {"sigma_max": draw(0.5, 8), "until": draw(0.1, 0.9)}
        return build("blur", **own, curve=str(rng.choice(["linear", "sine"])))

    kinds = (lambda: build("linear", until=draw(0.1, 0.9)), sigmoid, blur)
    return [build("vanilla"), *(kinds[i % len(kinds)]() for i in range(count - 1))]


@dataclasses.dataclass
class Ended(FakeTrial):
    """A run whose last evaluation is all that is looked at."""

    def evaluations(self) -> list[float]:
        return [1.0]


def searched(search: Search, count: int, fid: FidOf, seeds: int = 1) -> Results:
    """A search whose final FIDs follow a law, twice as high with each further seed."""
    rng = np.random.default_rng(4)
    return search(
        *(
            Ended(n + i * count, schedule, fid(schedule, rng) * 2**i, seed=i, configuration=n)
            for n, schedule in enumerate(pool(count, rng))
            for i in range(seeds)
        )
    )


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
    search: Search, fid: FidOf, kind: str, within: str, name: str
) -> None:
    table = importance(searched(search, 60, fid), kind=kind)
    found = first_of(table, kind, within)
    assert found["name"] == name
    assert found["low"] > 0.5
    assert found["importance"] > found["chance"]
    others = table[(table["within"] == within) & (table["name"] != name)]
    assert (others["importance"] < 0.3).all()


def test_noise_is_important_to_nobody(search: Search) -> None:
    """24 trials are the default of a search: luck makes large shares, and the table says so."""
    table = importance(searched(search, 24, noise))
    assert (table["importance"] < table["chance"]).mean() > 0.7
    shape = table[table["kind"] == "shape"]
    assert (shape["low"] < 0.05).all()
    assert (shape["high"] - shape["low"] > 0.2).sum() >= 2


def test_the_table_reads_from_the_general_to_the_special(search: Search) -> None:
    table = importance(searched(search, 60, by_tau))
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


def test_another_family_and_its_choices(search: Search) -> None:
    def by_curve(schedule: Schedule, rng: np.random.Generator) -> float:
        return (20 if getattr(schedule, "curve", "") == "sine" else 40) + float(rng.normal())

    results = searched(search, 60, by_curve)
    table = importance(results, kind="parameter", family="blur")
    assert first_of(table, "parameter", "blur")["name"] == "blur.curve"
    assert "linear" not in set(table["within"])


def test_seeds_are_averaged_before_anything_else(search: Search) -> None:
    """Seeds that move FID more than schedules do, but alike for all, hide nothing."""
    table = importance(searched(search, 30, by_length, seeds=3), kind="parameter")
    found = first_of(table, "parameter")
    assert (found["name"], found["configurations"]) == ("until", 30)
    assert found["low"] > 0.5


def by_rate_and_length(search: Search, law: Callable[[float, float], float]) -> pd.DataFrame:
    """The general parameters of a search of schedules and learning rates, by name."""
    rng = np.random.default_rng(2)
    trials = []
    for n in range(160):
        rate, length = rng.random(2)
        schedule = build(str(rng.choice(["linear", "cosine"])), until=0.1 + 0.8 * length)
        fid = 20 * float(np.exp(law(rate, length) + 0.05 * rng.normal()))
        trials.append(Ended(n, schedule, fid, settings={"lr": 10 ** (2 * rate - 4)}))
    table = importance(search(*trials, params={"lr": pa.float64()}), kind="parameter")
    pairs = table[table["name"].str.contains(" x ")]
    assert set(pairs["within"]) == {"all"}
    assert set(pairs["name"]) == {"lr x until", "lr x family"}
    return table[table["within"] == "all"].set_index("name")


def test_an_interaction_is_what_two_explain_only_together(search: Search) -> None:
    """The best length depends on the learning rate, and on the average neither matters."""
    found = by_rate_and_length(search, lambda rate, length: 4 * (rate - 0.5) * (length - 0.5))
    above = found["importance"] > found["chance"]
    assert list(found.index[above]) == ["lr x until"]
    assert found["importance"]["lr x until"] > 0.4


def test_effects_that_add_up_do_not_interact(search: Search) -> None:
    found = by_rate_and_length(search, lambda rate, length: rate + length)
    for name in ("lr x until", "lr x family"):
        assert found["importance"][name] < min(0.1, found["chance"][name])
    assert found["importance"].sum() == pytest.approx(1, abs=0.02)


def test_few_configurations_say_nothing(search: Search, results: Results) -> None:
    empty = importance(results)
    assert len(empty) == 0
    few = searched(search, FEWEST, noise)
    enough = importance(few, kind="shape")
    assert enough.equals(importance(few, kind="shape"))  # the same numbers every time
    assert set(enough["configurations"]) == {FEWEST}
    assert empty.dtypes.to_dict() == enough.dtypes.to_dict()


def test_models_are_analysed_apart(search: Search) -> None:
    rng = np.random.default_rng(0)
    glow = [FakeTrial(i, s, by_length(s, rng)) for i, s in enumerate(pool(12, rng))]
    vae = [dataclasses.replace(t, number=t.number + 50, model="vae", final=9.0) for t in glow]
    results = search(*glow, *vae)
    table = importance(results, kind="shape")
    assert list(dict.fromkeys(table["model"])) == ["glow", "vae"]
    assert table[table["model"] == "glow"].equals(importance(results, "glow", "shape"))
    # the vae's FIDs are all the same, so nothing explains them
    numbers = ["importance", "low", "high", "chance"]
    assert (table.loc[table["model"] == "vae", numbers] == 0).all(axis=None)


def test_what_never_varied_is_left_out(search: Search) -> None:
    finals = np.random.default_rng(0).normal(30, 1, 9).tolist()
    trials = (FakeTrial(i, build("linear", until=(i + 1) / 10), f) for i, f in enumerate(finals))
    table = importance(search(*trials), kind="parameter")
    names = list(zip(table["within"], table["name"], strict=True))
    assert names == [("all", "until"), ("linear", "linear.until")]


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


def test_fids_measured_in_different_ways_are_refused(unlike: Results) -> None:
    with pytest.raises(MollituneError, match="they differ in fid_samples"):
        importance(unlike)
