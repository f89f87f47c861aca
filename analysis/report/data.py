"""What the report shows, as plain data: the step before drawing that tests can compare."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mollitune._errors import MollituneError
from mollitune.analysis.ranking.leaderboard import ranked
from mollitune.analysis.tables.comparable import (
    comparable_reports,
    longest,
    minimised,
    require_alike,
)
from mollitune.analysis.tables.configurations import (
    configuration_text,
    hyperspace_of,
    parameters,
    schedule_of,
)
from mollitune.analysis.tables.results import Results
from mollitune.search.store import COMPARABLE_WITHIN

ACTIONS = ("continue", "stop", "audit", "skip", "promote")
"""What can be decided on a run, in the order in which it is shown."""
CURVE_POINTS = 201
"""Points of a schedule's curve over training progress 0 to 1."""
_PROGRESS: list[float] = np.linspace(0, 1, CURVE_POINTS).tolist()


class FidCurve(NamedTuple):
    """FID of one trial against the training step.

    Attributes:
        trial: Number of the trial.
        family: Its schedule family.
        text: Its schedule as short text.
        steps: Steps of its evaluations with a finite FID, in order.
        fids: FID at each of them.
        clean: Whether the training data was clean at each of them.
        comparable: Whether each of them may be ranked.
    """

    trial: int
    family: str
    text: str
    steps: list[int]
    fids: list[float]
    clean: list[bool]
    comparable: list[bool]


class LevelCurve(NamedTuple):
    """Mollification of one configuration over training, relative to its start.

    Attributes:
        configuration: Number of the configuration.
        family: Its schedule family.
        text: Its schedule as short text.
        progress: Share of training, from 0 to 1.
        level: Level relative to that at the start.
        fid: Its expected FID; None without a complete run, or where FIDs were measured unlike.
        runs: Number of its complete runs.
        trial: Its run with the median FID; without a complete one its first.
    """

    configuration: int
    family: str
    text: str
    progress: list[float]
    level: list[float]
    fid: float | None
    runs: int
    trial: int


class ShapePoint(NamedTuple):
    """FIDs of one configuration at full budget, and where its shape lies.

    Attributes:
        configuration: Number of the configuration.
        family: Its schedule family.
        text: Its schedule as short text.
        area: Mean level over training, relative to its start.
        trials: Numbers of its complete runs.
        seeds: Their seeds.
        fids: Their FIDs.
        expected: FID to expect on a fresh seed.
        low: Lower end of its 90 % interval; NaN without one.
        high: Upper end.
        settings: Its searched hyperparameters by name.
    """

    configuration: int
    family: str
    text: str
    area: float
    trials: list[int]
    seeds: list[int]
    fids: list[float]
    expected: float
    low: float
    high: float
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def median_trial(self) -> int:
        """Number of the run with the median FID, the better of two in the middle."""
        ordered = sorted(zip(self.fids, self.trials, strict=True))
        return ordered[(len(ordered) - 1) // 2][1]


class StoppingSummary(NamedTuple):
    """How early stopping went.

    Attributes:
        trials: Number of trials.
        stopped: Number of trials that were stopped early.
        saved: Share of all planned training steps that stopping saved, in [0, 1].
        spent: Share of them that were trained in runs that were then stopped.
        rungs: One row per rule and rung: ``policy``, ``rung``, ``progress``, ``judged``, the
            number of each action, and ``cutoff`` (the last one).
    """

    trials: int
    stopped: int
    saved: float
    spent: float
    rungs: pd.DataFrame


def fid_curves(results: Results, model: str) -> list[FidCurve]:
    """FID curves of the search's trials of a model, in the order of the trials."""
    rows = minimised(_of_search(results.reports, model), results.objective)
    finite = rows[np.isfinite(rows["fid"])].sort_values(["trial", "step"])
    starts = np.flatnonzero(np.diff(finite["trial"], prepend=-1))
    texts = [configuration_text(row) for row in finite.iloc[starts].to_dict("records")]
    # whole columns, and slices of them: a data frame per trial costs milliseconds each
    names = ("trial", "family", "step", "fid", "phase", "comparable")
    trials, families, steps, fids, phases, comparable = (finite[n].tolist() for n in names)
    curves = []
    for text, (i, j) in zip(texts, pairwise([*starts.tolist(), len(finite)]), strict=True):
        clean = [phase == "clean" for phase in phases[i:j]]
        trial, family = int(trials[i]), str(families[i])
        curve = FidCurve(trial, family, text, steps[i:j], fids[i:j], clean, comparable[i:j])
        curves.append(curve)
    return curves


def level_curves(results: Results, model: str) -> list[LevelCurve]:
    """Schedules of the search's configurations of a model that mollify, in their order.

    Vanilla has no curve, and schedules of families that are not registered here cannot be drawn.
    """
    rows = _of_search(results.trials, model).drop_duplicates("configuration")
    known = {point.configuration: point for point in shape_points(results, model)}
    curves = (_level_curve(row, known) for row in rows.to_dict("records"))
    return [curve for curve in curves if curve is not None]


def _level_curve(
    row: Mapping[Hashable, Any], points: Mapping[int, ShapePoint]
) -> LevelCurve | None:
    try:
        schedule = schedule_of(row)
    except ValueError:
        return None
    start = schedule.level(0.0)
    if start == 0:
        return None
    number = int(row["configuration"])
    point = points.get(number)
    return LevelCurve(
        number,
        str(row["family"]),
        str(schedule),
        _PROGRESS,
        [schedule.level(p) / start for p in _PROGRESS],
        None if point is None else point.expected,
        0 if point is None else len(point.trials),
        int(row["trial"]) if point is None else point.median_trial,
    )


def shape_points(results: Results, model: str) -> list[ShapePoint]:
    """FIDs of the configurations of a model with complete runs at the largest budget, best first.

    Empty when nothing has finished, or when the FIDs were not all measured alike.
    """
    runs = longest(comparable_reports(results, model))
    try:
        require_alike(results, runs, COMPARABLE_WITHIN)
    except MollituneError:
        return []
    # the table of trials is written later than that of reports
    known = results.trials[["configuration", "shape.area"]].itertuples(index=False, name=None)
    areas = {int(number): float(area) for number, area in known}
    own: dict[int, list[tuple[int, int, float]]] = {}
    columns = runs.sort_values("trial")[["configuration", "trial", "seed", "fid"]]
    for number, *run in columns.itertuples(index=False, name=None):
        own.setdefault(number, []).append((int(run[0]), int(run[1]), float(run[2])))
    settings = _settings(results, runs, model)
    board = ranked(results, model).to_dict("records")
    rows = [row for row in board if row["configuration"] in areas.keys() & own.keys()]
    return [_shape_point(row, areas, own[row["configuration"]], settings) for row in rows]


def _settings(results: Results, runs: pd.DataFrame, model: str) -> Mapping[int, Mapping[str, Any]]:
    """The hyperparameters of each configuration, where some were searched."""
    space = hyperspace_of(results, model)
    if not space:
        return {}
    first = runs.drop_duplicates("configuration").to_dict("records")
    return {int(row["configuration"]): parameters(row)[1] for row in first}


def _shape_point(
    row: Mapping[Hashable, Any],
    areas: Mapping[int, float],
    runs: Sequence[tuple[int, int, float]],
    settings: Mapping[int, Mapping[str, Any]],
) -> ShapePoint:
    number = int(row["configuration"])
    trials, seeds, fids = (list(values) for values in zip(*runs, strict=True))
    return ShapePoint(
        number,
        str(row["family"]),
        str(row["schedule"]),
        areas[number],
        trials,
        seeds,
        fids,
        float(row["fid_expected"]),
        float(row["fid_low"]),
        float(row["fid_high"]),
        settings.get(number, {}),
    )


def stopping_summary(results: Results, model: str) -> StoppingSummary:
    """Early stopping of the search's trials of a model."""
    trials = _of_search(results.trials, model)
    stopped = trials[trials["status"] == "stopped"]
    budget = int(trials["steps"].sum())
    spent = int(stopped["step"].sum()) / budget if budget else 0.0
    saved = int(stopped["steps"].sum()) / budget - spent if budget else 0.0
    decisions = results.decisions[results.decisions["trial"].isin(trials["trial"])]
    return StoppingSummary(len(trials), len(stopped), saved, spent, _rungs(decisions))


def _rungs(decisions: pd.DataFrame) -> pd.DataFrame:
    grouped = decisions.sort_values("time").groupby(["policy", "rung"], sort=True)
    table = pd.DataFrame({"progress": grouped["progress"].median(), "judged": grouped.size()})
    for action in ACTIONS:
        table[action] = (decisions["action"] == action).groupby(_keys(decisions)).sum()
    # `last` is the last cutoff that is there, not an empty one of a skipped decision.
    table["cutoff"] = grouped["cutoff"].last()
    return table.reset_index()


def _keys(decisions: pd.DataFrame) -> list[pd.Series]:
    return [decisions["policy"], decisions["rung"]]


def failures(results: Results, model: str) -> pd.DataFrame:
    """Failed and interrupted trials of a model, and those with non-finite losses or samples.

    Returns:
        Columns ``trial``, ``text``, ``status``, ``step``, ``steps``, ``non_finite``, ``error``.
    """
    trials = results.trials[results.trials["model"] == model]
    counters = results.reports[["non_finite_losses", "non_finite_samples"]].sum(axis=1)
    counts = counters.groupby(results.reports["trial"]).max()
    table = trials.assign(
        non_finite=trials["trial"].map(counts).fillna(0).astype("int64"),
        text=pd.Series(
            map(configuration_text, trials.to_dict("records")), trials.index, dtype="str"
        ),
    )
    bad = table["status"].isin(["failed", "interrupted"]) | (table["non_finite"] > 0)
    columns = ["trial", "text", "status", "step", "steps", "non_finite", "error"]
    return table.loc[bad, columns].reset_index(drop=True)


def _of_search(frame: pd.DataFrame, model: str) -> pd.DataFrame:
    return frame[(frame["model"] == model) & (frame["stage"] == "search")]
