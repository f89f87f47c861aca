import math
from typing import Any

import plotly.graph_objects as go
import pytest
from markupsafe import Markup
from tests.analysis.conftest import (
    CROSSING,
    LINEAR,
    PLAN,
    TRIALS,
    VANILLA,
    Search,
    climb,
)

from mollitune.analysis import Results
from mollitune.analysis.report.cards.ladder import ladder_card
from mollitune.analysis.report.figures.ladder import effect_figure, mean_figure, until_figure
from mollitune.analysis.report.ladder import MOST, BudgetView, budget_view
from mollitune.analysis.report.view import view
from mollitune.schedules import build
from mollitune.search.store.schema import CONFIRM_TRIALS

TARGET = {"ladder": {"scales": [1, 4], "target": 200}}


def shown(results: Results) -> Markup:
    return ladder_card(results, view(results, "glow"), 2)


def seen(results: Results) -> BudgetView:
    found = budget_view(results, "glow")
    assert found is not None
    return found


def drawn(figure: go.Figure) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data if trace.customdata is not None}


def test_the_card_has_the_sentences_and_three_figures(search: Search) -> None:
    card = shown(search(*climb(CROSSING)))
    assert "<h3>Effect against budget</h3>" in card
    assert "<li>On glow, linear(until=0.5) starts to pay at about 2,000 steps" in card
    assert "the choice changes between 1,000 and 4,000 steps; not confirmed yet.</li>" in card
    for name in ("effect-2", "mean-2", "until-2"):
        assert f'data-figure="{name}"' in card
    assert "The diamond is where the sign changes." in card
    assert "Warning" not in card


def test_no_card_for_one_budget_or_values_that_do_not_compare(
    search: Search, results: Results, unlike: Results
) -> None:
    assert shown(results) == shown(unlike) == shown(search(*TRIALS[:1])) == ""
    other = {**climb(CROSSING)[-1].report(1.0), "fid_samples": 50_000}
    assert shown(search(*climb(CROSSING), reports=[other])) == ""


def test_the_target_is_marked_and_what_is_not_measured_is_shaded(search: Search) -> None:
    results = search(*climb(CROSSING), metadata=TARGET)
    assert "at 200,000 this is an extrapolation (ratio 50)." in shown(results)
    figure = effect_figure(seen(results))
    shade, line = (s for s in figure.layout.shapes if s.yref == "paper")
    assert (shade.type, shade.x0, line.x0) == ("rect", 4000, 200_000)
    texts = [(note.text, note.x) for note in figure.layout.annotations]
    assert texts[-1] == ("target 200,000 ", pytest.approx(math.log10(200_000)))
    assert figure.layout.xaxis.ticktext == ("1,000", "4,000")
    near = search(*climb(CROSSING), metadata={"ladder": {"scales": [1], "target": 4}})
    figure = effect_figure(seen(near))
    assert [shape.type for shape in figure.layout.shapes] == ["line", "line"]
    assert len(effect_figure(seen(search(*climb(CROSSING)))).layout.shapes) == 1


def test_differences_have_intervals_and_a_crossing(search: Search) -> None:
    figure = effect_figure(seen(search(*climb(CROSSING))))
    line = drawn(figure)["linear(until=0.5)"]
    assert line.y == pytest.approx([10.0, -10.0], abs=0.1)
    assert min(line.error_y.array) > 0
    assert "from vanilla (" in line.text[0]
    crossing = next(trace for trace in figure.data if trace.y == (0, 0, 0))
    assert crossing.x[0] <= crossing.x[1] == pytest.approx(2000, rel=0.02)


def test_single_seeds_are_drawn_without_intervals(search: Search) -> None:
    results = search(*climb(CROSSING, seeds=1))
    assert drawn(effect_figure(seen(results)))["linear(until=0.5)"].error_y.array is None
    card = shown(results)
    assert "so there are no intervals" in card
    assert "The diamond" not in card


def test_means_and_the_best_until_of_each_budget(search: Search) -> None:
    late = build("linear", until=0.8)
    found = seen(search(*climb({**CROSSING, late: {1: 60.0, 4: 14.0}})))
    figure = mean_figure(found)
    assert figure.layout.yaxis.type == figure.layout.xaxis.type == "log"
    lines = drawn(figure)
    assert [*lines] == ["vanilla", "linear(until=0.8)", "linear(until=0.5)"]
    assert lines["linear(until=0.8)"].line.dash != lines["linear(until=0.5)"].line.dash
    (untils,) = until_figure(found).data
    assert (untils.x, untils.y) == ((1000, 4000), (0.5, 0.8))


def test_of_many_arms_those_that_say_most_are_drawn(search: Search) -> None:
    many = {build("linear", until=0.1 * i): {1: 40.0 + i, 4: 20.0 + i} for i in range(1, 9)}
    single = {build("cosine", until=0.5): {4: 1.0}}
    results = search(*climb({VANILLA: {1: 39.0, 4: 30.0}, **many, **single}))
    found = seen(results)
    assert len(found.curves) == 1 + MOST
    assert found.left_out == 3
    assert found.curves[1].arm == "linear(until=0.1)"
    assert "3 arms with fewer budgets or a higher mean not drawn." in shown(results)


def test_fresh_seeds_stand_for_those_of_the_search(search: Search) -> None:
    fresh = climb(CROSSING, CONFIRM_TRIALS, stage="confirm")
    only = climb({build("cosine", until=0.5): {1: 45.0, 4: 25.0}}, 50)
    found = seen(search(*climb(CROSSING), *only, *fresh, plan=PLAN))
    arms = [(curve.arm, curve.source) for curve in found.curves if curve.family != "vanilla"]
    assert arms == [("linear(until=0.5)", "confirm"), ("cosine(until=0.5)", "search")]
    assert {arm for arm, _ in found.best} == {str(LINEAR)}
    assert "cosine(until=0.5) (search)" in drawn(mean_figure(found))
