"""One table on disk as a folder of Parquet part files, and their compaction."""

import io
import posixpath
import secrets

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from mollitune._files import write_atomic

from .arrow import decode, last_rows, slices
from .schema import KEYS, SCHEMA_VERSION, part_name, part_names, part_range, version_of

MAX_PARTS = 32
"""Number of part files of a table above which the newest of them are merged into one."""
_SMALLER = 2
"""A file is merged as well unless it has more than so many times the rows of all newer ones."""
_GROUP_ROWS = 100_000
"""Rows that a merged file holds together."""


class StaleSchemaError(Exception):
    """A file that exists has other columns than the search that wants to go on writing."""


class PartFolder:
    """The part files of one table.

    Their names, see `schema.part_name`, carry a number that grows with each
    file and a random token that differs between processes: two drivers that write to one
    search by mistake cannot overwrite each other's files.

    Args:
        filesystem: File system of the search.
        folder: Folder of the table.
        table: Name of the table.
        schema: Schema that every file has.
    """

    def __init__(
        self, filesystem: fs.FileSystem, folder: str, table: str, schema: pa.Schema
    ) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._key = KEYS[table]
        self._schema = schema
        self._token = secrets.token_hex(3)
        self._names: list[str] | None = None
        self._rows: dict[str, int] = {}

    def __getstate__(self) -> dict[str, object]:
        """Leave out what goes stale while the copy is away: the list of files and the token."""
        return {**self.__dict__, "_names": None, "_token": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _token=secrets.token_hex(3))

    def path(self, name: str) -> str:
        """Full path of one of the files."""
        return posixpath.join(self._folder, name)

    def names(self) -> list[str]:
        """Names of the files, in the order in which they were written."""
        if self._names is None:
            selector = fs.FileSelector(self._folder, allow_not_found=True)
            found = (info.base_name for info in self._filesystem.get_file_info(selector))
            self._names = part_names(found)
        return self._names

    def tidy(self) -> None:
        """Delete what a compaction that was killed in the middle had already merged."""
        ranges = {name: part_range(name) for name in self.names()}
        for name, (first, last) in ranges.items():
            merged = any(
                other != name and begin <= first and last < end
                for other, (begin, end) in ranges.items()
            )
            if merged:
                self._filesystem.delete_file(self.path(name))
        self._names = None

    def columns(self, names: list[str]) -> pa.Table:
        """Return some columns of all rows."""
        tables = [pa.schema([self._schema.field(name) for name in names]).empty_table()]
        for name in self.names():
            with self._filesystem.open_input_file(self.path(name)) as file:
                tables.append(pq.read_table(file, columns=names).select(names))
        return pa.concat_tables(tables)

    def append(self, table: pa.Table) -> None:
        """Write rows as one new file."""
        names = self.names()
        number = _next_number(names)
        name = part_name(number, number, self._token)
        write_atomic(self._filesystem, self.path(name), to_parquet(table))
        names.append(name)
        self._rows[name] = table.num_rows

    def compact(self) -> None:
        """Merge the newest files into one when there are many, keeping the last row of each key.

        Old files that have far more rows stay as they are, so that a row is not written again at
        each merge: with n rows it is about log n times. They are at most some log2 n files.

        The merged file appears before the old ones go, and is later in the order than all of
        them. A crash at any point so leaves every row in place; at worst some rows stand twice
        with equal content until the next compaction.
        """
        if len(self.names()) <= MAX_PARTS:
            return
        self.tidy()
        names = self._newest()
        data, rows = self._merged(names)
        first = min(part_range(name)[0] for name in names)
        new = part_name(_next_number(names), first, self._token)
        write_atomic(self._filesystem, self.path(new), data)
        self._rows = {new: rows}
        # From here on the list on disk is the truth, whatever becomes of the deletions. The
        # oldest file goes first, so that whatever is left never looks like a whole table.
        self._names = None
        for name in names:
            self._filesystem.delete_file(self.path(name))

    def _merged(self, names: list[str]) -> tuple[bytes, int]:
        """Return a Parquet file with the rows of some files, and how many these are.

        A million of them take .6 kB each meanwhile: text stays in codes but for a slice.
        """
        table = pa.concat_tables([self._read(name) for name in names]).unify_dictionaries()
        last = last_rows(table, self._key)
        buffer = io.BytesIO()
        with pq.ParquetWriter(buffer, self._schema, compression="zstd") as writer:
            for part in slices(table, last, _GROUP_ROWS):
                writer.write_table(part)
        return buffer.getvalue(), table.num_rows if last is None else len(last)

    def _newest(self) -> list[str]:
        """Names of the files to merge, in order; the older ones are much larger than all these."""
        chosen: list[str] = []
        rows = 0
        for name in reversed(self.names()):
            own = self._count(name)
            if len(chosen) > 1 and own > _SMALLER * rows:
                break
            chosen.append(name)
            rows += own
        return chosen[::-1]

    def _count(self, name: str) -> int:
        if name not in self._rows:
            with self._filesystem.open_input_file(self.path(name)) as file:
                self._rows[name] = pq.read_metadata(file).num_rows
        return self._rows[name]

    def check(self) -> None:
        """Check that the newest file has this search's columns.

        Raises:
            StaleSchemaError: If it has others, or another version of the tables.
        """
        if self.names():
            check_schema(self._read_schema(self.names()[-1]), self._schema)

    def _read(self, name: str) -> pa.Table:
        with self._filesystem.open_input_file(self.path(name)) as file:
            return decode(file.read())

    def _read_schema(self, name: str) -> pa.Schema:
        with self._filesystem.open_input_file(self.path(name)) as file:
            return pq.read_schema(file)


def _next_number(names: list[str]) -> int:
    return max((part_range(name)[1] for name in names), default=-1) + 1


def to_parquet(table: pa.Table) -> bytes:
    """Encode a table as the content of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def check_schema(found: pa.Schema, wanted: pa.Schema) -> None:
    """Raise `StaleSchemaError` unless a file's schema is the one that the search writes."""
    if version_of(found) != SCHEMA_VERSION:
        raise StaleSchemaError(f"schema version {version_of(found)}, not {SCHEMA_VERSION}")
    if not found.equals(wanted):
        differing = sorted(set(found.names) ^ set(wanted.names)) or ["the types"]
        raise StaleSchemaError(f"other columns: {', '.join(differing)}")
