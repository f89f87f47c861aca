import dataclasses

import pytest
from tests.analysis.conftest import EVALUATIONS, TRIALS, YOUNG, Search, stranger

from mollitune._errors import MollituneError
from mollitune.analysis import Results, learning_curves, learning_figure


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


def test_runs_that_were_stopped_or_go_on_are_there(search: Search) -> None:
    running = dataclasses.replace(TRIALS[0], number=20, status="running", end=0.4)
    curves = learning_curves(search(*TRIALS, running))
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


def test_no_runs_and_no_evaluations_give_no_rows(results: Results, search: Search) -> None:
    early = search(YOUNG, name="early")
    none, empty = learning_curves(results, trials=[]), learning_curves(early)
    assert len(none) == len(empty) == 0
    full = learning_curves(results).dtypes.to_dict()
    assert none.dtypes.to_dict() == empty.dtypes.to_dict() == full
    with pytest.raises(MollituneError, match="no FID of 'early' to draw"):
        learning_figure(early)


def test_a_family_that_is_not_registered_here(search: Search) -> None:
    curves = learning_curves(search(TRIALS[0], reports=[stranger(until=0.25)]))
    assert set(curves["schedule"]) == {"vanilla", "stairs(until=0.25)"}


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
