"""What the columns that came since version 1 hold for the rows of older tables."""

from bisect import bisect_left
from collections.abc import Callable

import pyarrow as pa

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
}
"""Values by column, from an older table; columns to their left are there already."""
