"""The evaluations that may be ranked, and the refusal to rank others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mollitune._errors import MollituneError
from mollitune.search.store import Constraint, Objective

from .results import Results


def comparable_reports(
    results: Results, model: str | None = None, objective: Objective | None = None
) -> pd.DataFrame:
    """The search's evaluations that may be ranked, without those of the confirmation.

    They are as `minimised` returns them.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.
        objective: What is minimised; by default what the search minimises. It has a column.

    Raises:
        MollituneError: If the search has no such model.
    """
    rows = results.tables.rows
    if model is not None:
        both = (rows[name].column("model").unique() for name in ("reports", "trials"))
        known = sorted({name for names in both for name in names.to_pylist()})
        if model not in known:
            raise MollituneError(
                f"the search {results.name!r} has no model {model!r}; it has: {', '.join(known)}"
            )

    def wanted(table: pa.Table) -> pa.ChunkedArray:
        of_search = pc.and_(table["comparable"], pc.equal(table["stage"], "search"))
        return of_search if model is None else pc.and_(of_search, pc.equal(table["model"], model))

    # before the conversion: of a million evaluations few are comparable
    frame: pd.DataFrame = rows["reports"].where(wanted).to_pandas()
    objective = objective or results.objective
    found = minimised(frame, objective)
    return found if objective.is_fid else found[np.isfinite(found["fid"])]


def minimised(rows: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Rows of ``reports`` in which ``fid`` is what the search minimises.

    By default that is FID; else the FID itself is the column ``measured_fid``. So nothing that
    ranks needs to know the metric, only its words.
    """
    if objective.is_fid:
        return rows
    values = -rows[objective.column] if objective.negated else rows[objective.column]
    return rows.assign(measured_fid=rows["fid"], fid=values)


def longest(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``reports`` at the largest budget of each model, the closest to production."""
    return rows[rows["budget"] == rows.groupby("model")["budget"].transform("max")]


def second_metric(rows: pd.DataFrame, constraint: Constraint) -> pd.Series:
    """What a constraint bounds, of rows that are `minimised`; lower is better."""
    metric = constraint.metric
    real = "measured_fid" if metric.is_fid and "measured_fid" in rows else metric.column
    values: pd.Series = rows[real].astype(float)
    return -values if metric.negated else values


def require_alike(
    results: Results,
    rows: pd.DataFrame,
    columns: Sequence[str],
    hint: str = "see the leaderboard, which keeps them apart",
) -> None:
    """Refuse to rank FIDs that were measured in different ways.

    Args:
        results: Where they come from.
        rows: Rows of ``reports``.
        columns: What must agree, of `COMPARABLE_WITHIN`.
        hint: What to do about it.

    Raises:
        MollituneError: If the rows differ in one of the columns; it says in which.
    """
    for column in columns:
        values = sorted(rows[column].unique())
        if len(values) > 1:
            shown = ", ".join(map(str, values))
            models = " and ".join(repr(name) for name in sorted(rows["model"].unique()))
            raise MollituneError(
                f"the FIDs of {models} in {results.name!r} cannot be ranked: they differ in "
                f"{column} ({shown}); {hint}"
            )
