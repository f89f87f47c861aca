"""The rows of a table in memory, put in order and spelled out only where they are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from mollitune.search.store import CODED, last_rows, spelled_out

Condition = Callable[[pa.Table], pa.ChunkedArray]
"""From rows, text as it is or as codes, to one truth value for each, never null."""


class Rows:
    """Rows of one table, the last one of each key, sorted by key.

    Args:
        written: Rows in the order in which they were written, text as it is or as `CODED`.
        key: Names of the columns that identify a row.
    """

    def __init__(self, written: pa.Table, key: Sequence[str]) -> None:
        self._table = written.unify_dictionaries()
        self._order = last_rows(self._table, key)

    def __len__(self) -> int:
        return int(self._table.num_rows if self._order is None else len(self._order))

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows, spelled out."""
        return spelled_out(self._table.schema)

    def all(self) -> pa.Table:
        """Return all rows, spelled out; a second call costs nothing."""
        if self._order is not None or CODED in self._table.schema.types:
            # column by column, so that the table is there twice and not three times
            columns = [self._spelled_out(column) for column in self._table.columns]
            self._table, self._order = pa.table(columns, self.schema), None
        return self._table

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column, spelled out."""
        return self._spelled_out(self._table[name])

    def where(self, condition: Condition) -> pa.Table:
        """Return the rows that meet a condition, spelled out."""
        wanted = condition(self._table).to_numpy()
        order = self._order
        rows = np.flatnonzero(wanted) if order is None else order[wanted[order]]
        return self._table.take(pa.array(rows)).cast(self.schema)

    def _spelled_out(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        taken = column if self._order is None else column.take(pa.array(self._order))
        return taken.cast(pa.string()) if column.type == CODED else taken


class Tables(Mapping[str, pa.Table]):
    """The tables of a search by name, each of them spelled out when it is first asked for.

    Args:
        rows: Their rows by name.
    """

    def __init__(self, rows: Mapping[str, Rows]) -> None:
        self.rows = rows

    def __getitem__(self, name: str) -> pa.Table:
        return self.rows[name].all()

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)
