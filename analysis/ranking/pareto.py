"""The Pareto front of two metrics: the configurations that only a worse other metric can beat."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mollitune._errors import MollituneError
from mollitune.analysis.tables.comparable import comparable_reports, longest, require_alike
from mollitune.analysis.tables.results import Results
from mollitune.search.store import COMPARABLE_WITHIN, better_of

from .leaderboard import ranked

_OF_A_CONFIGURATION = ("model", "configuration", "schedule", "family", "runs")


def pareto(
    results: Results, model: str | None = None, metrics: tuple[str, str] = ("fid", "bpd")
) -> pd.DataFrame:
    """Tell which configurations are best in one of two metrics, given the other.

    The front is one of means, as they were measured: with few seeds it is noisy, a neighbour of
    the front may well belong to it, and of many configurations some are there by luck. Look at
    the standard errors. The same evaluations count as on the `leaderboard`, of several budgets
    those of the largest.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default, each with a front of its own.
        metrics: Two columns of ``reports`` of which lower or higher values are better, such as
            ``kid``, ``recall``, or a metric of one's own, ``extra.NAME``.

    Returns:
        One row per configuration with a complete run, sorted by model and the first metric, the
        best first: ``model``, ``configuration``, ``schedule`` (as text, with the searched
        hyperparameters), ``family``, ``runs`` (complete ones), for each metric ``METRIC_mean``
        and ``METRIC_error`` (standard error of that mean, NaN for one run), ``front`` (no other
        configuration of the model is at least as good in both and better in one),
        ``dominated_by`` (number of a configuration that is so, the one that is best in the
        first metric; empty on the front) and ``recommended`` (first on the leaderboard). Where
        a run lacks a finite value, the mean is NaN, the configuration is not on the front and
        none dominates it. Empty when nothing has finished.

    Raises:
        MollituneError: If the search has no such model, its FIDs were not all measured alike, or
            a metric is unknown, was not measured, or has no better direction.
    """
    rows = comparable_reports(results, model)
    if not results.objective.is_fid:
        rows = rows.assign(fid=rows["measured_fid"])
    signs = _signs(results, metrics)
    rows = longest(rows)
    if not rows.empty:
        _require_measured(results, rows, metrics)
    fronts = [
        _front(results, str(name), own, signs) for name, own in rows.groupby("model", sort=True)
    ]
    columns = _columns(metrics)
    table = pd.concat(fronts) if fronts else pd.DataFrame(columns=list(columns))
    return table[list(columns)].astype(columns).reset_index(drop=True)


def _columns(metrics: Sequence[str]) -> dict[str, Any]:
    measured = {f"{name}_{part}": "float64" for name in metrics for part in ("mean", "error")}
    return {
        **dict.fromkeys(_OF_A_CONFIGURATION, "str"),
        **{"configuration": "int64", "runs": "int64"},
        **measured,
        **{"front": "bool", "dominated_by": "Int64", "recommended": "bool"},
    }


def _signs(results: Results, metrics: Sequence[str]) -> dict[str, int]:
    """What makes lower values the better ones of each metric: 1 or -1."""
    schema = results.tables.rows["reports"].schema
    better = {field.name: better_of(field) for field in schema}
    allowed = ", ".join(name for name, direction in better.items() if direction)
    if len(metrics) != 2 or metrics[0] == metrics[1]:
        raise MollituneError(f"a front takes two different metrics; allowed: {allowed}")
    for name in metrics:
        if name not in better:
            raise MollituneError(f"{results.name!r} has no metric {name!r}; allowed: {allowed}")
        if better[name] is None:
            raise MollituneError(
                f"neither lower nor higher values of {name!r} are declared better; "
                f"allowed: {allowed}"
            )
    return {name: 1 if better[name] == "lower" else -1 for name in metrics}


def _require_measured(results: Results, rows: pd.DataFrame, metrics: Sequence[str]) -> None:
    for name in metrics:
        if rows[name].isna().all():
            directed = [f.name for f in results.tables.rows["reports"].schema if better_of(f)]
            known = ", ".join(other for other in directed if rows[other].notna().any())
            raise MollituneError(
                f"the metric {name!r} was not measured in {results.name!r}; measured: {known}"
            )


def _front(
    results: Results, model: str, runs: pd.DataFrame, signs: dict[str, int]
) -> pd.DataFrame:
    """Rows of one model."""
    require_alike(results, runs, COMPARABLE_WITHIN)
    board = ranked(results, model)
    board = board[board["configuration"].isin(runs["configuration"])]
    table = board[list(_OF_A_CONFIGURATION)].set_index("configuration", drop=False)
    table["recommended"] = table.index == board["configuration"].iloc[0]
    for name in signs:
        each = runs[name].where(np.isfinite(runs[name])).groupby(runs["configuration"])
        whole = each.count() == each.size()  # a run that diverged must not flatter the others
        table[f"{name}_mean"] = each.mean().where(whole)
        table[f"{name}_error"] = each.sem().where(whole)
    costs = pd.DataFrame({name: sign * table[f"{name}_mean"] for name, sign in signs.items()})
    order = costs.assign(number=table.index).sort_values([*signs, "number"])
    found = _dominators(*(order[name].tolist() for name in order))
    table = table.loc[order.index]
    table["dominated_by"] = pd.array(found, "Int64")
    complete = order[list(signs)].notna().all(axis=1)
    return table.assign(front=complete & table["dominated_by"].isna())


def _dominators(
    first: Sequence[float], second: Sequence[float], numbers: Sequence[int]
) -> list[int | None]:
    """For each configuration the number of the first that dominates it, or None.

    Args:
        first: Values of the first metric, the lower the better, in order.
        second: Values of the second metric, in order where those of the first are equal.
        numbers: Numbers of the configurations.
    """
    # whoever dominates stands before, and if it is dominated itself, so does its dominator
    front: list[tuple[float, float, int]] = []
    found: list[int | None] = []
    for x, y, number in zip(first, second, numbers, strict=True):
        dominators = (n for a, b, n in front if b <= y and (a, b) != (x, y))
        found.append(next(dominators, None))
        if found[-1] is None and x == x and y == y:
            front.append((x, y, number))
    return found
