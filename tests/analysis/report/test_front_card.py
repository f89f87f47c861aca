import math
import re
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import pytest
from markupsafe import Markup
from tests.analysis.conftest import CONFIRMED, PLAN, TRIALS, FakeTrial, Row, Search

from mollitune.analysis import Results
from mollitune.analysis.report.cards.front import front_card
from mollitune.analysis.report.figures.front import front_figure
from mollitune.analysis.report.figures.palette import family_color
from mollitune.analysis.report.figures.shape import MANY
from mollitune.analysis.report.front import FrontPoint, front_points
from mollitune.analysis.report.view import view
from mollitune.schedules import build

NAN = math.nan
SIGMOID = FrontPoint(2, "sigmoid", "sigmoid(<b>)", 2, 3, 20.0, 1.5, 3.4, 0.02, None)
VANILLA = FrontPoint(0, "vanilla", "vanilla", 1, 0, 26.0, NAN, 3.1, NAN, None)
LINEAR = FrontPoint(1, "linear", "linear", 2, 1, 24.0, 2.0, 3.5, 0.01, 2)
POINTS = [SIGMOID, LINEAR, VANILLA]


def with_bpd(bpds: Sequence[float | None], trials: Sequence[FakeTrial] = TRIALS) -> list[Row]:
    """The last evaluations of the first trials, with other bits per dimension."""
    return [{**run.report(1.0), "bpd": bpd} for run, bpd in zip(trials, bpds, strict=False)]


def shown(results: Results, model: str = "glow") -> Markup:
    return front_card(results, view(results, model), 2)


def note_of(search: Search, *bpds: float | None, trials: Sequence[FakeTrial] = TRIALS[:3]) -> str:
    """The text of a card on runs with the FIDs 30 (vanilla), 25 (linear) and 20 (sigmoid)."""
    card = shown(search(*trials, reports=with_bpd(bpds, trials)))
    return str(re.findall("<p>(.*?)</p>", card)[0])


def diamonds(figure: go.Figure) -> dict[str, Any]:
    return {trace.legendgroup: trace for trace in figure.data if trace.customdata}


def test_points_have_the_run_that_a_click_shows(search: Search) -> None:
    again = TRIALS[2].again(number=20, final=24.0, seed=8)
    results = search(*TRIALS[:2], TRIALS[2], again)
    points = front_points(results, view(results, "glow"))
    found = [(p.configuration, p.runs, p.trial, p.fid, p.dominated_by) for p in points]
    assert found == [(2, 2, 2, 22.0, None), (1, 1, 1, 25.0, 2), (0, 1, 0, 30.0, 2)]
    assert points[0].text == "sigmoid(start=-2, tau=1, until=0.6)"


def test_a_search_without_hyperparameters_has_the_card_after_the_figures(results: Results) -> None:
    card = shown(results)
    assert "<h3>FID against bits per dim</h3>" in card
    assert 'data-figure="front-2" aria-label="FID against bits per dim for 4 ' in card


def test_no_card_without_bits_per_dim_or_for_one_configuration(
    search: Search, unlike: Results
) -> None:
    missing = with_bpd([None] * 3)
    assert shown(search(*TRIALS[:3], reports=missing)) == ""
    assert shown(search(*TRIALS[:3], reports=missing[:2])) == ""
    assert shown(search(TRIALS[0])) == ""
    assert shown(search(FakeTrial(0, build("vanilla"), 30.0, status="running", end=0.4))) == ""
    assert shown(unlike) == ""


@pytest.mark.parametrize(
    ("bpds", "said"),
    [
        (
            (3.2, 3.4, 3.1),
            "1 of 3 configurations is on the front: no other is at least as good in both and "
            "better in one. The recommended configuration has the lowest FID and the best bits "
            "per dim.",
        ),
        (
            (3.21, 3.4, 3.35),
            "2 of 3 configurations are on the front: no other is at least as good in both and "
            "better in one. The recommended configuration has the lowest FID. The best bits per "
            "dim, 3.21 instead of 3.35, costs 10.00 FID (vanilla).",
        ),
    ],
)
def test_it_says_what_better_bits_per_dim_would_cost(
    search: Search, bpds: Sequence[float], said: str
) -> None:
    note = note_of(search, *bpds)
    assert note.endswith(said)
    assert "With one seed each, the front is noisy." in note


def test_it_says_that_what_is_recommended_is_dominated(search: Search) -> None:
    """From 8 configurations on, a lucky run among high neighbours is not believed."""
    finals = [30.0, 29.5, 29.0, 21.9, 28.5, 24.0, 23.0, 22.0, 22.5, 23.5]
    runs = [FakeTrial(i, build("linear", until=0.05 + i / 10), f) for i, f in enumerate(finals)]
    note = note_of(search, *(3.0 + f / 100 for f in finals), trials=runs)
    assert "The recommended configuration is dominated: linear(until=0.35) has FID 21.90" in note
    assert "instead of 22.00 and 3.219 instead of 3.22 bits per dim. It is recommended" in note


def test_after_a_confirmation_its_choice_is_what_counts(search: Search) -> None:
    late = FakeTrial(9, CONFIRMED[2].schedule, 22.0)
    trials = (*TRIALS[:3], late)
    rows = with_bpd((3.0, 3.4, 3.3, 3.2), trials)
    card = shown(search(*trials, *CONFIRMED, plan=PLAN, reports=rows))
    assert (
        "The confirmation&#39;s choice is on the front. The best bits per dim, 3 instead" in card
    )
    assert "The lowest FID, 20.00 instead of 22.00, costs 0.1 bits per dim (sigmoid(" in card


def test_the_front_stands_out_and_is_joined() -> None:
    figure = front_figure(POINTS, winner=2)
    drawn = diamonds(figure)
    assert drawn["sigmoid"].opacity == drawn["vanilla"].opacity == 1.0 > drawn["linear"].opacity
    assert drawn["sigmoid"].marker.color == family_color("sigmoid")
    assert drawn["sigmoid"].marker.size[0] > drawn["vanilla"].marker.size[0]
    steps = next(trace for trace in figure.data if trace.name == "front")
    assert (steps.x, steps.y, steps.line.shape) == ((3.1, 3.4), (26.0, 20.0), "hv")
    assert drawn["sigmoid"].customdata == (3,)
    assert drawn["sigmoid"].text[0] == (
        "FID 20.0 ± 1.5, 3.40 ± 0.02 bits per dim in 2 runs<br>configuration 2: sigmoid(&lt;b&gt;)"
    )


def test_only_means_of_several_runs_have_errors() -> None:
    drawn = diamonds(front_figure(POINTS))
    assert drawn["linear"].error_y.array == pytest.approx([2.0])
    assert drawn["linear"].error_x.array == pytest.approx([0.01])
    assert drawn["vanilla"].error_y.array is None
    many = [LINEAR._replace(configuration=i) for i in range(MANY)]
    drawn = diamonds(front_figure([SIGMOID, *many]))
    assert drawn["linear"].error_y.array is None
    assert drawn["sigmoid"].error_y.array == pytest.approx([1.5])


def test_a_run_that_diverged_does_not_squeeze_the_others(search: Search) -> None:
    rest = [LINEAR._replace(bpd=3.4 + i / 10) for i in range(8)]
    lost = LINEAR._replace(bpd=1e5, fid=900.0)
    figure = front_figure([SIGMOID, *rest, lost])
    assert 4.1 < figure.layout.xaxis.range[1] < 4.3
    assert 10 ** figure.layout.yaxis.range[1] < 30
    others = [FakeTrial(20 + i, build("linear", until=0.1 * i), 30.0 + i) for i in range(1, 4)]
    note = note_of(search, 1e5, 3.2, 3.1, trials=[*TRIALS[:4], *others])
    assert "1 with far more bits per dim is not shown." in note
