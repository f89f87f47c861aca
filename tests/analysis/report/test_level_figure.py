import math

import numpy as np
import pytest

from mollitune.analysis import Results
from mollitune.analysis.report.data import LevelCurve, level_curves
from mollitune.analysis.report.figures.level import fid_range, level_figure


def curve(number: int, fid: float | None, level: tuple[float, float] = (1.0, 0.0)) -> LevelCurve:
    return LevelCurve(number, "linear", "linear", [0.0, 1.0], list(level), fid, 1, number)


def test_winner_is_bold_and_on_top(results: Results) -> None:
    curves = level_curves(results, "glow")
    lines = [trace for trace in level_figure(curves, winner=2).data if trace.mode == "lines"]
    drawn = [line[0] for trace in lines for line in trace.meta["lines"]]
    assert sorted(drawn) == sorted([*(curve.trial for curve in curves), 2])
    assert lines[-1].line.width > max(line.line.width for line in lines[:-1])
    bold = next(c for c in curves if c.configuration == 2)
    at = np.interp(bold.progress, lines[-1].x[:-1], lines[-1].y[:-1])
    assert at == pytest.approx(np.array(bold.level), abs=0.005)


def test_good_schedules_are_drawn_last() -> None:
    figure = level_figure([curve(i, fid) for i, fid in enumerate([20.0, 30.0, None, 10.0])])
    drawn = [line[0] for trace in figure.data if trace.meta for line in trace.meta["lines"]]
    assert drawn == [2, 1, 0, 3]


def test_schedules_of_one_shade_are_one_trace() -> None:
    figure = level_figure([curve(i, 10.0 + i / 100) for i in range(1000)])
    traces = [trace for trace in figure.data if trace.mode == "lines"]
    assert len(traces) <= 33
    assert sum(len(trace.meta["lines"]) for trace in traces) == 1000


def test_each_line_tells_its_fid_and_runs() -> None:
    figure = level_figure([curve(4, 20.0), curve(5, None)])
    notes = {line[0]: line[2] for t in figure.data if t.meta for line in t.meta["lines"]}
    assert notes == {4: "expected FID 20.00 after 1 run", 5: "no final FID"}


def test_outliers_do_not_stretch_the_colour_scale_and_its_bar_says_so() -> None:
    fids = [10.0, 11.0, 12.0, 13.0, 14.0, 1e9]
    assert fid_range(fids) == (10.0, 14.0)
    assert fid_range([5.0])[0] < fid_range([5.0])[1]
    assert all(map(math.isfinite, fid_range([])))
    figure = level_figure([curve(i, fid) for i, fid in enumerate(fids)])
    labels = figure.data[-1].marker.colorbar.ticktext
    assert (labels[0], labels[-1]) == ("10.00", "≥ 14.00")
    assert len(level_figure([curve(0, None)]).data) == 1  # without final FIDs no bar
