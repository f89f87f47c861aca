"""Tables whose texts are kept as codes of a dictionary.

A million evaluations have a dozen texts that hardly differ. As codes they are read in half the
time and take a fraction of the memory; columns are spelled out again where rows leave the package.
"""

from collections.abc import Iterator

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
