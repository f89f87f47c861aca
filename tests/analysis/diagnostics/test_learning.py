import dataclasses

import pytest
from tests.analysis.conftest import EVALUATIONS, PARAMS, TRIALS, FakeTrial, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import Results, learning_curves, learning_figure, load_results
from mollitune.schedules import build
from mollitune.search.store.writer import Store


def test_every_evaluation_has_a_row_in_the_order_of_training(results: Results) -> None:
    curves = learning_curves(results)
    assert len(curves) == len(results.reports)
    keys = list(zip(curves["model"], curves["trial"], curves["step"], strict=True))
    assert keys == sorted(keys)
    assert set(curves["stage"]) == {"search", "confirm"}


def test_one_run(results: Results) -> None:
    curve = learning_curves(results, trials=[1])
    assert curve["progress"].tolist() == list(EVALUATIONS)
    assert curve["step"].tolist() == [200, 400, 600, 800, 1000]
    assert curve["phase"].tolist() == ["mollified"] * 2 + ["clean"] * 3
    assert curve["comparable"].tolist() == [False] * 4 + [True]
    assert curve["fid"].iloc[-1] == 25.0
    assert set(curve["schedule"]) == {"linear(until=0.5)"}
    assert set(curve["seed"]) == {7}
    assert curve["bpd"].tolist() == [3.25] * 5


def test_runs_that_were_stopped_or_go_on_are_there(make_search: MakeSearch) -> None:
    running = dataclasses.replace(TRIALS[0], number=20, status="running", end=0.4)
    curves = learning_curves(load_results(make_search((*TRIALS, running))))
    reached = curves.groupby("trial")["progress"].max()
    assert (reached[4], reached[5], reached[20]) == (0.6, 0.2, 0.4)


def test_one_model(results: Results) -> None:
    assert set(learning_curves(results, "vae")["trial"]) == {6, 7}


@pytest.mark.parametrize(
    ("model", "trials", "message"),
    [
        ("gan", None, "has no model 'gan'"),
        (None, [0, 99], "has no trial 99; see its trials"),
        ("vae", [0], "has no trial 0 of vae"),
    ],
)
def test_what_is_not_there(
    results: Results, model: str | None, trials: list[int] | None, message: str
) -> None:
    for function in (learning_curves, learning_figure):
        with pytest.raises(MollituneError, match=message):
            function(results, model, trials)


def test_no_runs_and_no_evaluations_give_no_rows(
    results: Results, make_search: MakeSearch
) -> None:
    none = learning_curves(results, trials=[])
    early = make_search(
        (FakeTrial(0, build("vanilla"), 30.0, status="running", end=0.0),), "early"
    )
    empty = learning_curves(load_results(early))
    assert len(none) == len(empty) == 0
    full = learning_curves(results).dtypes.to_dict()
    assert none.dtypes.to_dict() == empty.dtypes.to_dict() == full
    with pytest.raises(MollituneError, match="no FID of 'early' to draw"):
        learning_figure(load_results(early))


def test_a_family_that_is_not_registered_here(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:1])
    with Store.open(location, PARAMS) as store:
        row = FakeTrial(9, build("vanilla"), 10.0).report(1.0)
        store.report({**row, "family": "stairs", "params.until": 0.25})
    assert set(learning_curves(load_results(location))["schedule"]) == {
        "vanilla",
        "stairs(until=0.25)",
    }


def test_the_figure_is_that_of_the_report(results: Results) -> None:
    figure = learning_figure(results, trials=[0, 1])
    drawn = [trace for trace in figure.data if any(x is not None for x in trace.x)]
    assert {trace.name for trace in drawn} == {"vanilla", "linear"}
    vanilla = next(trace for trace in drawn if trace.name == "vanilla")
    fids = vanilla.y[:-1].tolist()  # an empty point ends each line
    assert fids == pytest.approx(learning_curves(results, trials=[0])["fid"].tolist())
    assert set(vanilla.text) == {"trial 0: vanilla"}
    with pytest.raises(MollituneError, match="several models: glow, vae; name the one to draw"):
        learning_figure(results)
