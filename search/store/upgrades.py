"""What the columns that came since version 1 hold for the rows of older tables."""

import itertools
from bisect import bisect_left
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from .schema import columns

_Fill = Callable[[pa.Table], pa.Array | pa.ChunkedArray]


def _all(value: object, kind: pa.DataType) -> _Fill:
    return lambda table: pa.repeat(pa.scalar(value, kind), table.num_rows)


def _clean_steps(table: pa.Table) -> pa.Array:
    pairs = zip(_untils(table), table["steps"].to_pylist(), strict=True)
    return pa.array([_clean(until, steps) for until, steps in pairs], pa.int64())


def _untils(table: pa.Table) -> list[float]:
    """The mollified share of each trial; the parameter, since ``1 - clean_share`` is rounded."""
    shares = table["shape.clean_share"].to_pylist()
    known = "params.until" in table.column_names
    given = table["params.until"].to_pylist() if known else [None] * len(shares)
    return [1 - s if until is None else until for until, s in zip(given, shares, strict=True)]


def _clean(until: float, steps: int) -> int:
    """How many of the steps k = 0, 1, ... have k / steps >= until: those train on clean data."""
    return steps - bisect_left(range(steps), until, key=lambda k: k / steps)


FILLS: dict[str, _Fill] = {
    "non_finite_samples": _all(0, pa.int64()),
    "ema": _all(0.0, pa.float64()),
    "extractor_resize": _all("", pa.string()),
    "configuration": lambda table: table["trial"],
    "probe_fid": _all(None, pa.float64()),
    "probe_steps": _all(0, pa.int64()),
    "policy": _all("asha", pa.string()),
    "shape.share_below_hundredth": _all(None, pa.float64()),  # no old column tells it
    "shape.clean_steps": _clean_steps,
    "budget": _all(0, pa.int64()),
    "scale": _all(1.0, pa.float64()),
    "fid_final": _all("last", pa.string()),
    "step_fid": lambda table: table["fid"],
    "nll": _all(None, pa.float64()),
    "train_bpd": _all(None, pa.float64()),
}
"""Values by column, from an older table; columns to their left are there already."""


def upgraded(table: pa.Table) -> pa.Table:
    """Return a table of an older version with the columns that came since.

    Version 1 had one column ``non_finite`` for losses and samples together; they count as losses
    here. It knew neither averaged weights nor resizing by name. Up to version 2 every trial was a
    configuration of its own, ASHA was the only policy, and no branch was ever measured. Up to
    version 4 all trials of a model had one budget, which up to version 3 is not told. Up to
    version 5 the last evaluation alone was the value of a run.

    Args:
        table: Rows of any of the tables; with all columns it is returned as it is.
    """
    if "non_finite" in table.column_names:
        table = table.rename_columns({"non_finite": "non_finite_losses"})
    known = columns(_name_of(table))
    for before, column in itertools.pairwise(known):
        if column.name in FILLS and column.name not in table.column_names:
            position = table.column_names.index(before.name) + 1
            table = table.add_column(position, column.field, FILLS[column.name](table))
    return table


def one_budget(table: pa.Table) -> pa.Table:
    """Return the rows of a search with the budget of each model also in its older rows.

    A search that was begun before version 4 and resumed since has both. Older rows are of the
    length that its config gives.

    Args:
        table: Rows of ``reports`` or ``trials`` in today's columns.
    """
    unknown = pc.equal(table["budget"], 0)
    if not pc.any(unknown).as_py() or pc.all(unknown).as_py():
        return table
    budgets, models = table["budget"], table["model"].cast(pa.string())
    plain = pc.equal(table["scale"], 1.0)
    for model in models.unique().to_pylist():
        own = pc.and_(pc.equal(models, model), plain)
        budgets = pc.if_else(pc.and_(own, unknown), pc.max(budgets.filter(own)), budgets)
    return table.set_column(table.column_names.index("budget"), "budget", budgets)


def _name_of(table: pa.Table) -> str:
    marks = {"rung": "decisions", "status": "trials"}
    return next((name for mark, name in marks.items() if mark in table.column_names), "reports")
