"""What the report shows, as plain data: the step before drawing that tests can compare."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ._schedules import schedule_of, schedule_text
from .results import Results

CURVE_POINTS = 201
"""Points of a schedule's curve over training progress 0 to 1."""


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
    """Mollification of one trial over training, relative to its start.

    Attributes:
        trial: Number of the trial.
        family: Its schedule family.
        text: Its schedule as short text.
        progress: Share of training, from 0 to 1.
        level: Level relative to that at the start.
        fid: Final comparable FID; None without one.
    """

    trial: int
    family: str
    text: str
    progress: list[float]
    level: list[float]
    fid: float | None


class StoppingSummary(NamedTuple):
    """How early stopping went.

    Attributes:
        trials: Number of trials.
        stopped: Number of trials that were stopped early.
        saved: Share of all training steps that stopping saved, in [0, 1].
        rungs: One row per rung: ``rung``, ``progress``, ``judged``, ``continue``, ``stop``,
            ``skip`` and ``cutoff`` (the last one).
    """

    trials: int
    stopped: int
    saved: float
    rungs: pd.DataFrame


def fid_curves(results: Results, model: str) -> list[FidCurve]:
    """FID curves of the search's trials of a model, in the order of the trials."""
    rows = _of_search(results.reports, model)
    finite = rows[np.isfinite(rows["fid"])]
    curves = []
    for trial, group in finite.groupby("trial", sort=True):
        first = group.iloc[0].to_dict()
        curves.append(
            FidCurve(
                int(str(trial)),
                str(first["family"]),
                schedule_text(first),
                group["step"].tolist(),
                group["fid"].tolist(),
                (group["phase"] == "clean").tolist(),
                group["comparable"].tolist(),
            )
        )
    return curves


def level_curves(results: Results, model: str) -> list[LevelCurve]:
    """Schedules of the search's trials of a model that mollify, in the order of the trials.

    Vanilla trials have no curve, and schedules of families that are not registered here cannot
    be drawn.
    """
    rows = _of_search(results.trials, model)
    curves = (_level_curve(row) for row in rows.to_dict("records"))
    return [curve for curve in curves if curve is not None]


def _level_curve(row: Mapping[Hashable, Any]) -> LevelCurve | None:
    try:
        schedule = schedule_of(row)
    except ValueError:
        return None
    start = schedule.level(0.0)
    if start == 0:
        return None
    progress = np.linspace(0, 1, CURVE_POINTS).tolist()
    level = [schedule.level(p) / start for p in progress]
    fid = None if pd.isna(row["final_fid"]) else float(row["final_fid"])
    return LevelCurve(
        int(row["trial"]), str(row["family"]), schedule_text(row), progress, level, fid
    )


def stopping_summary(results: Results, model: str) -> StoppingSummary:
    """Early stopping of the search's trials of a model."""
    trials = _of_search(results.trials, model)
    stopped = trials[trials["status"] == "stopped"]
    budget = int(trials["steps"].sum())
    saved = int((stopped["steps"] - stopped["step"]).sum()) / budget if budget else 0.0
    decisions = results.decisions[results.decisions["trial"].isin(trials["trial"])]
    return StoppingSummary(len(trials), len(stopped), saved, _rungs(decisions))


def _rungs(decisions: pd.DataFrame) -> pd.DataFrame:
    grouped = decisions.sort_values("time").groupby("rung", sort=True)
    table = pd.DataFrame({"progress": grouped["progress"].median(), "judged": grouped.size()})
    for action in ("continue", "stop", "skip"):
        counts = decisions.loc[decisions["action"] == action, "rung"].value_counts()
        table[action] = counts.reindex(table.index, fill_value=0)
    # `last` is the last cutoff that is there, not an empty one of a skipped decision.
    table["cutoff"] = grouped["cutoff"].last()
    return table.reset_index()


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
        text=pd.Series(map(schedule_text, trials.to_dict("records")), trials.index, dtype="str"),
    )
    bad = table["status"].isin(["failed", "interrupted"]) | (table["non_finite"] > 0)
    columns = ["trial", "text", "status", "step", "steps", "non_finite", "error"]
    return table.loc[bad, columns].reset_index(drop=True)


def _of_search(frame: pd.DataFrame, model: str) -> pd.DataFrame:
    return frame[(frame["model"] == model) & (frame["stage"] == "search")]
