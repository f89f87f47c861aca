"""The writer of a search's results: three Parquet tables and a few files in one folder."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mollitune._errors import MollituneError
from mollitune._files import below, write_atomic
from mollitune._folder import Folder

from .arrow import last_of_each
from .columns import Metric
from .lease import LEASE_FILE
from .parts import PartFolder, StaleSchemaError, check_schema, to_parquet
from .retry import Retry
from .rows import Row, RowCheck
from .schema import (
    KEYS,
    METADATA_FILE,
    METADATA_FORMAT,
    SCHEMA_VERSION,
    TRIALS_FILE,
    columns,
    table_schema,
)

FLUSH_ROWS = 500
"""Number of buffered rows that are written at once."""
FLUSH_SECONDS = 2.0
"""Time since the last write after which a new row is written at once, s."""
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_APPENDED = ("reports", "decisions")


class StoreError(MollituneError):
    """The folder of the results cannot be that of this search."""


class Store:
    """Writes the results of one search from one process; readers may look at any time.

    Rows are checked at once and buffered. They are written when there are 500 of them, or when
    a row arrives more than 2 s after the last write; `flush` writes them now. Reports and
    decisions are appended as part files, which are merged when there are more than 32 of them.
    The trials table is one file that is replaced. Files appear whole: a crash loses at most
    the rows that were still buffered.

    When a write fails, the rows stay buffered and the next flush tries again. A store can be
    pickled; the copy keeps the buffered rows and reads the state of the folder afresh.

    Args:
        folder: Folder of the search.
        params: Arrow type, float64 or string, of each schedule parameter of the search, by
            name without the ``params.`` prefix.
        clock: Monotonic clock in seconds, for tests.
        retry: How long a write is tried again; by default not at all.
        extras: Metrics of the search that not every search has.

    Raises:
        ValueError: If a parameter has an empty name or another type.
    """

    def __init__(
        self,
        folder: Folder,
        params: Mapping[str, pa.DataType],
        clock: Callable[[], float] = time.monotonic,
        retry: Retry | None = None,
        extras: Iterable[Metric] = (),
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._retry = retry or Retry()
        tables, own = (*_APPENDED, "trials"), tuple(extras)
        self._checks = {t: RowCheck(t, columns(t, params, own)) for t in tables}
        self._schemas = {t: table_schema(t, params, own) for t in tables}
        self._parts = {
            t: PartFolder(folder.filesystem, folder.path(t), t, self._schemas[t])
            for t in _APPENDED
        }
        self._buffers: dict[str, list[Row]] = {table: [] for table in tables}
        self._trials: pa.Table | None = None
        self._flushed = clock()
        self._closed = False

    @classmethod
    def open(
        cls,
        location: str,
        params: Mapping[str, pa.DataType],
        retry: Retry | None = None,
        extras: Iterable[Metric] = (),
    ) -> Self:
        """Open the folder of a search, new or with results to go on from.

        Args:
            location: A local path or the URI of any PyArrow file system.
            params: As for the class.
            retry: As for the class.
            extras: As for the class.

        Raises:
            StoreError: If the folder holds tables with other columns.
            StorageError: If it cannot be read.
            MollituneError: If the URI is not understood.
        """
        store = cls(Folder(location), params, retry=retry, extras=extras)
        store._check_existing()
        return store

    def __getstate__(self) -> dict[str, object]:
        # Another store may write to the folder while this copy is away.
        return {**self.__dict__, "_trials": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._flushed = self._clock()  # the clock of another process starts elsewhere

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def report(self, row: Mapping[str, object]) -> None:
        """Add an evaluation; columns as in `mollitune.search.store.schema`.

        Raises:
            ValueError: If a column is unknown, missing or wrong, or the store is closed.
            StorageError: If a write was due and failed; the row is kept.
        """
        self._add("reports", row)

    def decision(self, row: Mapping[str, object]) -> None:
        """Add a decision of the search policy; errors as for `report`."""
        self._add("decisions", row)

    def trial(self, row: Mapping[str, object]) -> None:
        """Add a trial, or replace the row with its number; errors as for `report`."""
        self._add("trials", row)

    def keys(self, table: str) -> set[tuple[Any, ...]]:
        """Return the keys of the rows that are written, see `KEYS`.

        Args:
            table: ``reports`` or ``decisions``.

        Raises:
            StorageError: If the table cannot be read.
        """
        names = list(KEYS[table])
        with self._folder.doing("read", table):
            self._parts[table].tidy()
            found = self._parts[table].columns(names)
        return set(zip(*(found[name].to_pylist() for name in names), strict=True))

    def flush(self) -> None:
        """Write the buffered rows now.

        Raises:
            StorageError: If a table cannot be written; its rows stay buffered, and the next
                write tries again.
        """
        for table in _APPENDED:
            self._keep(table, partial(self._flush_appended, table))
        self._keep(TRIALS_FILE, self._flush_trials)
        self._flushed = self._clock()

    def flush_if_due(self) -> None:
        """Write the buffered rows if there are 500 of them or the last write was 2 s ago.

        Adding a row does this by itself. A driver calls it now and then, so that the last rows
        before a quiet time do not wait for the next one.

        Raises:
            StorageError: If a write was due and failed.
        """
        waiting = sum(map(len, self._buffers.values()))
        elapsed = self._clock() - self._flushed
        if waiting >= FLUSH_ROWS or (waiting and elapsed >= FLUSH_SECONDS):
            self.flush()

    def close(self) -> None:
        """Write the buffered rows and take no more; closing twice is harmless."""
        self.flush()
        self._closed = True

    def write_metadata(self, metadata: Mapping[str, object]) -> None:
        """Write ``search.json``; its format and schema version are filled in.

        Raises:
            ValueError: If a value is not finite or not of a JSON type.
            StorageError: If the file cannot be written.
        """
        own = {"format": METADATA_FORMAT, "schema_version": SCHEMA_VERSION}
        try:
            text = json.dumps({**own, **metadata, **own}, indent=2, allow_nan=False)
        except TypeError as error:
            raise ValueError(f"metadata must hold JSON values only: {error}") from None
        self.write_file(METADATA_FILE, f"{text}\n".encode())

    def write_file(self, name: str, data: bytes) -> None:
        """Write another file of the search, whole or not at all.

        Args:
            name: Path below the search's folder, such as ``samples/0003.png``.
            data: The content.

        Raises:
            ValueError: If the path leaves the folder.
            StorageError: If the file cannot be written.
        """
        self._folder.write(name, data, self._retry)

    def _add(self, table: str, row: Mapping[str, object]) -> None:
        if self._closed:
            raise ValueError(f"the store of {self._folder.root} is closed and takes no more rows")
        self._buffers[table].append(self._checks[table](row))
        self.flush_if_due()

    def _keep(self, name: str, write: Callable[[], None]) -> None:
        with self._folder.doing("write", name):
            self._retry(write)

    def _flush_appended(self, table: str) -> None:
        rows, folder = self._buffers[table], self._parts[table]
        if not rows:
            return
        folder.append(pa.Table.from_pylist(rows, schema=self._schemas[table]))
        rows.clear()
        folder.compact()

    def _flush_trials(self) -> None:
        rows = self._buffers["trials"]
        if not rows:
            return
        known = self._read_trials() if self._trials is None else self._trials
        new = pa.Table.from_pylist(rows, schema=self._schemas["trials"])
        merged = last_of_each(pa.concat_tables([known, new]), KEYS["trials"])
        folder = self._folder
        write_atomic(folder.filesystem, folder.path(TRIALS_FILE), to_parquet(merged))
        self._trials = merged
        rows.clear()

    def _read_trials(self) -> pa.Table:
        schema = self._schemas["trials"]
        data = self._folder.read(TRIALS_FILE)
        if data is None:
            return schema.empty_table()
        return pq.read_table(pa.BufferReader(data)).select(schema.names).cast(schema)

    def _check_existing(self) -> None:
        try:
            with self._folder.doing("read"):
                for table in _APPENDED:
                    self._parts[table].check()
                data = self._folder.read(TRIALS_FILE)
                if data is not None:
                    check_schema(pq.read_schema(pa.BufferReader(data)), self._schemas["trials"])
        except StaleSchemaError as error:
            raise StoreError(
                f"the results in {self._folder.root} do not fit this search ({error}); start a "
                "search with a new name"
            ) from error


def create_search_folder(root: str, name: str) -> str:
    """Create the folder of a new search; what exists is never written over.

    Args:
        root: Folder of all results, a local path or a URI; created when it is missing.
        name: Name of the search: letters, digits, ``.``, ``_`` and ``-``, not starting with
            a dot.

    Returns:
        The new folder's location, ``root/name``, for `Store.open`.

    Raises:
        StoreError: If the name is illegal or taken.
        StorageError: If the root is not writable.
    """
    if not _NAME.fullmatch(name):
        raise StoreError(
            f"illegal search name {name!r}: use letters, digits, '.', '_' and '-', not starting "
            "with a dot"
        )
    location = below(root, name)
    folder = Folder(location)
    if not folder.create() and not _never_began(folder):
        raise StoreError(
            f"the search {name!r} exists already in {root}; choose another name, such as "
            f"name={name}-2, or move that folder away"
        )
    return location


def _never_began(folder: Folder) -> bool:
    """Tell whether a driver was killed before it had written anything but its lease."""
    return [entry.base_name for entry in folder.list()] == [LEASE_FILE]
