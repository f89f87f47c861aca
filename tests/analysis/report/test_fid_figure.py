import math

import plotly.graph_objects as go

from mollitune.analysis import Results
from mollitune.analysis.report.data import FidCurve, fid_curves
from mollitune.analysis.report.figures.fid import MANY, fid_figure, points_each


def lines(figure: go.Figure, dash: str) -> dict[int, list[tuple[float, float]]]:
    """Points of the thin lines of a kind, by trial."""
    found: dict[int, list[tuple[float, float]]] = {}
    for trace in figure.data:
        if not trace.meta or trace.line.dash != dash:
            continue
        start = 0
        for trial, count, _ in trace.meta["lines"]:
            x, y = (values[start : start + count].tolist() for values in (trace.x, trace.y))
            assert math.isnan(y[-1])  # ends the line
            found[trial] = list(zip(x[:-1], y[:-1], strict=True))
            start += count
        assert start == len(trace.x)
    return found


def dots(figure: go.Figure) -> list[tuple[int, float, float]]:
    """Trial, step and FID of the values that may be compared."""
    traces = [trace for trace in figure.data if trace.mode == "markers" and trace.customdata]
    rows = (zip(t.customdata, t.x, t.y, strict=True) for t in traces)
    return sorted(row for some in rows for row in some)


def curve(trial: int, fids: list[float], clean: int, family: str = "linear") -> FidCurve:
    """A curve whose evaluations from number ``clean`` on are on clean data."""
    n = len(fids)
    flags = [i >= clean for i in range(n)]
    return FidCurve(trial, family, family, list(range(n)), fids, flags, [False] * (n - 1) + [True])


def test_every_evaluation_is_drawn_and_mollified_ones_dotted(results: Results) -> None:
    curves = fid_curves(results, "glow")
    figure = fid_figure(curves)
    solid, dotted = lines(figure, "solid"), lines(figure, "dot")
    for c in curves:
        points = [(s, round(f, 3)) for s, f in zip(c.steps, c.fids, strict=True)]
        drawn = [*dotted.get(c.trial, []), *solid.get(c.trial, [])]
        assert {(s, round(f, 3)) for s, f in drawn} == set(points)
        noisy = [point for point, clean in zip(points, c.clean, strict=True) if not clean]
        assert not {(s, round(f, 3)) for s, f in solid.get(c.trial, [])} & set(noisy)


def test_dotted_line_reaches_the_first_clean_point_and_comparable_values_have_dots() -> None:
    figure = fid_figure([curve(3, [9.0, 8.0, 7.0, 6.0], clean=2), curve(5, [4.0], clean=0)])
    assert lines(figure, "dot") == {3: [(0, 9.0), (1, 8.0), (2, 7.0)]}
    assert lines(figure, "solid") == {3: [(2, 7.0), (3, 6.0)], 5: [(0, 4.0)]}
    assert dots(figure) == [(3, 3, 6.0), (5, 0, 4.0)]


def test_each_family_stands_in_the_legend_once_and_the_winner_is_bold(results: Results) -> None:
    figure = fid_figure(fid_curves(results, "glow"), winner=2)
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert names[:5] == ["vanilla", "blur", "cosine", "linear", "sigmoid"]
    assert names[5:] == ["data still mollified: not comparable", "full budget: comparable"]
    (bold,) = [trace for trace in figure.data if trace.meta and trace.line.width > 3]
    assert (bold.name, bold.x[-2], bold.y[-2]) == ("sigmoid", 1000, 20.0)
    assert bold.marker.size[-2] > 0


def test_axis_holds_all_clean_values_but_not_every_noisy_one() -> None:
    curves = [curve(i, [1e6, 100.0, 50.0], clean=1) for i in range(3)]
    noisy = [curve(3, [90.0, 80.0, 60.0], clean=0, family="vanilla")] * 10
    low, high = fid_figure([*curves, *noisy]).layout.yaxis.range
    assert 10**low < 50.0
    assert 100.0 < 10**high < 1e6


def test_family_without_clean_values_is_in_the_legend_too() -> None:
    figure = fid_figure([curve(0, [9.0, 8.0], clean=5)])
    assert figure.data[0].name == "linear"
    assert figure.data[0].showlegend is not False
    assert lines(figure, "solid") == {}


def test_many_long_curves_are_thinned_and_no_end_or_spike_is_lost() -> None:
    fids = [100.0 - i / 10 for i in range(500)]
    fids[333] = 400.0
    figure = fid_figure([curve(i, fids, clean=100) for i in range(1000)])
    drawn = sum(len(t.x) for t in figure.data if t.meta)
    assert drawn < 1000 * (points_each([curve(0, fids, 0)] * 1000) + 8)
    solid, dotted = lines(figure, "solid")[7], lines(figure, "dot")[7]
    assert (dotted[0][0], dotted[-1][0], solid[0][0], solid[-1][0]) == (0, 100, 100, 499)
    assert (333, 400.0) in solid


def test_among_many_curves_the_best_are_drawn_stronger() -> None:
    curves = [curve(i, [9.0, 8.0], clean=0) for i in range(MANY + 1)]
    figure = fid_figure(curves, strong=[4])
    opacity = {t.meta["lines"][0][0]: t.opacity for t in figure.data if t.meta}
    assert opacity.keys() == {0, 4}
    assert opacity[4] > opacity[0]
    few = fid_figure(curves[:MANY], strong=[4])
    assert len([trace for trace in few.data if trace.meta]) == 1
