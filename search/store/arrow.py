"""Tables whose texts are kept as codes of a dictionary.

A million evaluations have a dozen texts that hardly differ. As codes they are read in half the
time and take a fraction of the memory; columns are spelled out again where rows leave the package.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

CODED = pa.dictionary(pa.int32(), pa.string())
"""Type of a text column as codes."""


def decode(data: bytes) -> pa.Table:
    """Return the content of a Parquet file with its texts as codes: that is how it stores them.

    Raises:
        pyarrow.ArrowException: If it is no Parquet file, or a damaged one; or an OSError or
            ValueError.
    """
    schema = pq.read_schema(pa.BufferReader(data))
    texts = {field.name for field in schema if field.type == pa.string()}
    fragment = ds.ParquetFileFormat(dictionary_columns=texts).make_fragment(pa.py_buffer(data))
    # Arrow's own allocator clears huge pages, which takes longer than to decode what goes there
    return fragment.to_table(memory_pool=pa.system_memory_pool())


def coded(table: pa.Table) -> pa.Table:
    """Return a table with every text as `CODED`."""
    for position, field in enumerate(table.schema):
        if field.type == pa.string():
            codes = pc.dictionary_encode(table[position])
            table = table.set_column(position, field.with_type(CODED), codes)
    return table


def spelled_out(schema: pa.Schema) -> pa.Schema:
    """Return a schema with text instead of `CODED`."""
    fields = [f.with_type(pa.string()) if f.type == CODED else f for f in schema]
    return pa.schema(fields, schema.metadata)


def slices(table: pa.Table, order: npt.NDArray[np.int64] | None, rows: int) -> Iterator[pa.Table]:
    """Yield a table spelled out, a slice at a time, so that it is never there as a whole.

    Args:
        table: With texts as they are or as `CODED`.
        order: Numbers of the rows to yield; None: all of them.
        rows: Number of rows of a slice.
    """
    schema = spelled_out(table.schema)
    for begin in range(0, table.num_rows if order is None else len(order), rows):
        if order is None:
            part = table.slice(begin, rows)
        else:
            part = table.take(pa.array(order[begin : begin + rows]))
        yield part.cast(schema)


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
