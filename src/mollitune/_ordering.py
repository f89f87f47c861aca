"""Rows of a table in the order of their keys, each key once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def last_of_each(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Keep the last row of each key, sorted by key.

    Args:
        table: Rows in the order in which they were written; as they are if in order.
        key: As for `last_rows`.
    """
    last = last_rows(table, key)
    return table if last is None else table.combine_chunks().take(pa.array(last))


def last_rows(table: pa.Table, key: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """Return the number of the last row of each key, sorted by key.

    It costs one sort of integers: Arrow's own grouping and sorting by several columns, of which
    one is text, take ten times as long.

    Args:
        table: Rows in the order in which they were written.
        key: Names of the columns that identify a row: integers, or text as it is or as codes of
            a dictionary; without nulls.

    Returns:
        The numbers; None if these are all rows in their order, so that nothing is to be taken.
    """
    if not table.num_rows:
        return None
    ranks = [_ranks(table[name]) for name in key]
    order = np.lexsort(ranks[::-1])
    differs = np.zeros(len(order) - 1, bool)
    for rank in ranks:
        ordered = rank[order]
        differs |= ordered[1:] != ordered[:-1]
    last: npt.NDArray[np.int64] = order[np.append(differs, True)]
    if len(last) == len(order) and bool((last[1:] > last[:-1]).all()):
        return None
    return last


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Integers that sort as the values do."""
    if pa.types.is_integer(column.type):
        values: npt.NDArray[np.int64] = column.to_numpy()
        return values
    coded = column.combine_chunks()
    if not pa.types.is_dictionary(coded.type):
        coded = coded.dictionary_encode()
    order = pc.sort_indices(coded.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    ranked: npt.NDArray[np.int64] = ranks[coded.indices.to_numpy()]
    return ranked
