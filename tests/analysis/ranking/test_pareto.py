import math
from collections.abc import Callable

import pandas as pd
import pytest
from tests.analysis.conftest import FakeTrial, Row, Search, runs_of

from mollitune._errors import MollituneError
from mollitune.analysis import Results
from mollitune.analysis.ranking import pareto
from mollitune.schedules import build

Measured = Callable[..., Results]


@pytest.fixture
def measured(search: Search) -> Measured:
    """A search of a configuration per row, of a FID and a value of another metric each."""

    def load(*values: tuple[float, float | None], metric: str = "bpd") -> Results:
        runs = [
            FakeTrial(i, build("linear", until=0.1 + 0.05 * i), fid)
            for i, (fid, _) in enumerate(values)
        ]
        rows: list[Row] = [
            {**run.report(1.0), metric: value}
            for run, (_, value) in zip(runs, values, strict=True)
        ]
        return search(*runs, reports=rows)

    return load


def front_of(table: pd.DataFrame) -> dict[int, int | None]:
    """What dominates each configuration, in the order of the rows; None on the front."""
    assert (table["front"] == table["dominated_by"].isna()).all()
    columns = (table[name].tolist() for name in ("configuration", "front", "dominated_by"))
    return {number: None if on else by for number, on, by in zip(*columns, strict=True)}


def test_nobody_on_the_front_is_beaten_in_both(measured: Measured) -> None:
    table = pareto(measured((24.0, 3.1), (20.0, 3.4), (26.0, 3.2), (27.0, 3.0), (21.0, 3.4)))
    assert front_of(table) == {1: None, 4: 1, 0: None, 2: 0, 3: None}
    assert table["recommended"].tolist() == [True, False, False, False, False]


def test_of_those_that_dominate_the_best_in_the_first_metric_is_named(measured: Measured) -> None:
    results = measured((30.0, 3.5), (20.0, 3.4), (21.0, 3.1))
    assert front_of(pareto(results))[0] == 1
    assert front_of(pareto(results, metrics=("bpd", "fid")))[0] == 2


def test_equals_do_not_dominate_each_other(measured: Measured) -> None:
    table = pareto(measured((20.0, 3.2), (20.0, 3.1), (20.0, 3.1), (25.0, 3.1)))
    assert front_of(table) == {1: None, 2: None, 0: 1, 3: 1}


def test_a_metric_of_which_more_is_better_is_turned_round(measured: Measured) -> None:
    results = measured((20.0, 0.5), (22.0, 0.7), (24.0, 0.6), metric="recall")
    table = pareto(results, metrics=("fid", "recall"))
    assert front_of(table) == {0: None, 1: None, 2: 1}
    assert table["recall_mean"].tolist() == [0.5, 0.7, 0.6]
    assert list(pareto(results, metrics=("recall", "fid"))["configuration"]) == [1, 2, 0]


def test_means_and_their_standard_errors(search: Search) -> None:
    runs = runs_of(build("linear", until=0.5), (20.0, 24.0), 0, 0)
    table = pareto(search(*runs, FakeTrial(9, build("vanilla"), 30.0)))
    both, alone = table.to_dict("records")
    assert (both["runs"], both["fid_mean"], both["fid_error"]) == (2, 22.0, 2.0)
    assert (both["bpd_mean"], both["bpd_error"]) == pytest.approx((3.22, 0.02))
    assert (both["schedule"], both["family"]) == ("linear(until=0.5)", "linear")
    assert math.isnan(alone["fid_error"])
    assert front_of(table) == {0: None, 9: 0}


@pytest.mark.parametrize("value", [None, math.inf])
def test_a_missing_value_is_off_the_front_and_not_dominated(
    search: Search, value: float | None
) -> None:
    runs = runs_of(build("linear", until=0.5), (20.0, 24.0), 0, 0)
    lost = {**runs[1].report(1.0), "bpd": value}
    table = pareto(search(*runs, FakeTrial(9, build("vanilla"), 30.0), reports=[lost]))
    assert table["configuration"].tolist() == [0, 9]
    assert table["bpd_mean"].isna().tolist() == [True, False]
    assert table["dominated_by"].isna().all()
    assert table["front"].tolist() == [False, True]


def test_each_model_has_a_front_of_its_own(results: Results) -> None:
    table = pareto(results)
    assert table[["model", "configuration"]].to_numpy().tolist() == [
        *(["glow", number] for number in (2, 1, 0, 3)),
        *(["vae", number] for number in (6, 7)),
    ]
    assert table["front"].tolist() == [True, False, False, False, True, False]
    vae = table[table["model"] == "vae"].reset_index(drop=True)
    assert pareto(results, "vae").equals(vae)


def test_nothing_finished(search: Search, results: Results) -> None:
    young = pareto(search(FakeTrial(0, build("vanilla"), 30.0, status="running", end=0.4)))
    assert len(young) == 0
    assert young.dtypes.to_dict() == pareto(results).dtypes.to_dict()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (("fid", "loss"), "'fake' has no metric 'loss'; allowed: fid, kid, .*, bpd, nll$"),
        (("level", "fid"), "neither lower nor higher values of 'level' .*; allowed: fid, kid"),
        (("fid", "fid"), "two different metrics; allowed: fid, kid"),
        (("fid", "kid"), "'kid' was not measured in 'fake'; measured: fid, bpd$"),
    ],
)
def test_what_is_no_metric_to_compare_by(
    results: Results, metrics: tuple[str, str], message: str
) -> None:
    with pytest.raises(MollituneError, match=message):
        pareto(results, metrics=metrics)


def test_unlike_values_are_refused(unlike: Results) -> None:
    with pytest.raises(MollituneError, match="cannot be ranked: they differ in fid_samples"):
        pareto(unlike)
