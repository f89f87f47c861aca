"""The last row of each key as Arrow's own grouping finds it: slow, and nothing of ours."""

from collections.abc import Sequence

import pyarrow as pa


def deduplicate(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Keep the last row of each key, in the order of the rows that stay.

    Args:
        table: Rows in the order in which they were written.
        key: Names of the columns that identify a row, see `KEYS`.
    """
    rows = pa.array(range(table.num_rows), pa.int64())
    keyed = table.select(list(key)).append_column("_row", rows)
    last = keyed.group_by(list(key)).aggregate([("_row", "max")])["_row_max"]
    return table.take(last.combine_chunks().sort())
