"""What a search cost, and what early stopping saved."""

import pandas as pd

from mollitune.analysis.tables.results import Results

_OF_A_GROUP = ["model", "stage"]
_STATUSES = ("completed", "stopped", "failed", "interrupted", "running")
_HOUR = 3600.0  # s
_COLUMNS = {
    "model": "str",
    "stage": "str",
    "trials": "int64",
    **dict.fromkeys(_STATUSES, "int64"),
    "steps": "int64",
    "branch_steps": "int64",
    "steps_saved": "int64",
    "evaluations": "int64",
    "training_hours": "float64",
    "evaluation_hours": "float64",
    "evaluation_share": "float64",
    "wall_hours": "float64",
    "step_seconds": "float64",
    "device": "str",
}


def costs(results: Results) -> pd.DataFrame:
    """Sum up what the runs of each model cost, those of the search and of a confirmation apart.

    Hours of training and of evaluation are summed over runs, so with several at once they exceed
    the wall time. A running search counts as far as it has reported. What a crash threw away is
    not in the tables, and neither is the time to measure FID after a cooldown branch.

    Args:
        results: Results of a search, finished or running.

    Returns:
        One row per ``model`` and ``stage`` (search or confirm): ``trials`` and how many of them
        are ``completed``, ``stopped`` (early, by a decision), ``failed``, ``interrupted`` and
        ``running``; ``steps`` (training steps done), ``branch_steps`` (of cooldown branches, on
        top), ``steps_saved`` (that stopped runs did not need), ``evaluations``,
        ``training_hours`` and ``evaluation_hours``, ``evaluation_share`` (of both together, in
        [0, 1]), ``wall_hours`` (from the first start to the last end or, while something runs,
        the last report; pauses included), ``step_seconds`` (mean over the training steps) and
        ``device`` (all that trained). A mean or share of nothing is NaN.
    """
    runs = _runs(results)
    groups = runs.groupby(_OF_A_GROUP, sort=False)
    counts = groups["status"].value_counts().unstack(fill_value=0)
    sums = groups[
        ["done", "branch_steps", "saved", "evaluations", "training", "evaluation", "timed"]
    ].sum()
    both = sums["training"] + sums["evaluation"]
    wall = groups["end"].max() - groups["start"].min()
    table = pd.DataFrame(
        {
            "trials": groups.size(),
            **{status: counts.get(status, 0) for status in _STATUSES},
            "steps": sums["done"],
            "branch_steps": sums["branch_steps"],
            "steps_saved": sums["saved"],
            "evaluations": sums["evaluations"],
            "training_hours": sums["training"] / _HOUR,
            "evaluation_hours": sums["evaluation"] / _HOUR,
            "evaluation_share": sums["evaluation"] / both.where(both > 0),
            "wall_hours": wall.dt.total_seconds() / _HOUR,
            "step_seconds": sums["training"] / sums["timed"].where(sums["timed"] > 0),
            "device": _devices(results.reports).reindex(sums.index, fill_value=""),
        }
    ).reset_index()
    # search before confirm
    ordered = table.sort_values(_OF_A_GROUP, ascending=[True, False], ignore_index=True)
    return ordered[list(_COLUMNS)].astype(_COLUMNS)


def _runs(results: Results) -> pd.DataFrame:
    """One row per run with its own sums, also for one that is not in the table of trials yet."""
    trials = results.trials.set_index("trial")
    reported = _reported(results.reports)
    known = [*_OF_A_GROUP, "status", "start", "end", "step", "steps"]
    runs = trials[known].join(reported, how="outer")
    for name in _OF_A_GROUP:
        runs[name] = runs[name].fillna(runs[f"{name}_reported"])
    runs["status"] = runs["status"].fillna("running")
    runs["end"] = runs["end"].fillna(runs["last"]).fillna(runs["start"])
    runs["start"] = runs["start"].fillna(runs["first"])
    # while a run goes on, the later of the two tables knows how far it is
    runs["done"] = runs[["step", "reached"]].max(axis=1).fillna(0)
    runs["saved"] = (runs["steps"] - runs["done"]).where(runs["status"] == "stopped", 0)
    return runs


def _reported(reports: pd.DataFrame) -> pd.DataFrame:
    """What the evaluations of each run add up to, by number of the run."""
    rows = reports.sort_values(["trial", "step"])
    before = rows.groupby("trial")["step"].shift(fill_value=0)
    # a branch is trained at the same speed as the run
    trained = rows["step"] - before + rows["probe_steps"]
    rows = rows.assign(
        training=trained * rows["step_seconds"],
        timed=trained.where(rows["step_seconds"].notna(), 0),
    )
    groups = rows.groupby("trial")
    first = groups[_OF_A_GROUP].first().add_suffix("_reported")
    sums = groups.agg(
        reached=("step", "max"),
        branch_steps=("probe_steps", "sum"),
        evaluations=("step", "size"),
        training=("training", "sum"),
        evaluation=("eval_seconds", "sum"),
        timed=("timed", "sum"),
        first=("time", "min"),
        last=("time", "max"),
    )
    return first.join(sums)


def _devices(reports: pd.DataFrame) -> pd.Series:
    names = reports.groupby(_OF_A_GROUP)["device"].unique()
    return names.map(lambda found: ", ".join(sorted(found)))
