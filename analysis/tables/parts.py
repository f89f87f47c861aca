"""Reading the Parquet tables of a search, also while it is running."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune._folder import Folder
from mollitune.search.store import (
    KEYS,
    SCHEMA_VERSION,
    TRIALS_FILE,
    Column,
    coded,
    columns,
    decode,
    missing_parts,
    one_budget,
    params_of,
    part_names,
    spelled_out,
    upgraded,
    version_of,
)

from .rows import Rows

_READERS = 8
_ATTEMPTS = 8
_FIRST_WAIT = 0.01  # seconds, doubled after each attempt: 1.3 s in all


def read_table(
    folder: Folder, table: str, sleep: Callable[[float], None] = time.sleep
) -> Rows | None:
    """Read all rows of one table as they are at one moment.

    The writer may merge part files meanwhile, so a listing can be incomplete and a file can
    vanish before it is read. Both are noticed, and the table is listed again.

    Args:
        folder: Folder of the search.
        table: Name of the table.
        sleep: Waits between attempts, for tests.

    Returns:
        The rows; None when the table has no file.

    Raises:
        MollituneError: If a file is corrupt, foreign or of a newer version, or part files are
            missing for good.
    """
    wait = _FIRST_WAIT
    for _ in range(_ATTEMPTS):
        names, whole = _list(folder, table)
        if whole and (parts := _read_all(folder, names, table)) is not None:
            return _merge(parts, table)
        sleep(wait)
        wait *= 2
    raise MollituneError(
        f"cannot read {folder.path(table)}: part files are missing; restore the folder "
        "from a copy, or try again if the search is writing now"
    )


def _list(folder: Folder, table: str) -> tuple[list[str], bool]:
    if table == "trials":
        return ([TRIALS_FILE] if folder.info(TRIALS_FILE).is_file else []), True
    # A listing during a merge might see no old file any more and the merged one not yet. Where
    # that leaves no gap, as the merged files are the newest, a second listing shows it.
    before, names = (part_names(info.base_name for info in folder.list(table)) for _ in range(2))
    whole = set(before) <= set(names) and not missing_parts(names)
    return [f"{table}/{name}" for name in names], whole


def _read_all(folder: Folder, names: list[str], table: str) -> list[pa.Table] | None:
    """Return the rows of all files; None if one of them is gone."""
    # dozens of small files, on an object store with the time of a request each
    with ThreadPoolExecutor(_READERS) as pool:
        found = list(pool.map(lambda name: _read(folder, name, table), names))
    parts = [part for part in found if part is not None]
    return parts if len(parts) == len(names) else None


def _read(folder: Folder, name: str, table: str) -> pa.Table | None:
    # Whole in one go: a file that is replaced halfway must not be mixed from two versions.
    data, path = folder.read(name), folder.path(name)
    if data is None:
        return None
    try:
        found = decode(data)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MollituneError(
            f"{path} is corrupt ({first_line(error)}); restore it from a copy or delete it"
        ) from error
    version = version_of(found.schema)
    if version is None:
        raise MollituneError(f"{path} was not written by Mollitune; move it away")
    if version > SCHEMA_VERSION:
        raise MollituneError(
            f"{path} has schema version {version}, this Mollitune reads up to {SCHEMA_VERSION}; "
            "update Mollitune"
        )
    return _checked(path, found, table)


def _checked(path: str, found: pa.Table, table: str) -> pa.Table:
    """Return the rows with today's columns, once they have those of their table.

    Columns that are not known stay: a later version may have added them.
    """
    try:
        rows = upgraded(found)
        schema = spelled_out(rows.schema)
        wrong = next(_differences(rows, schema, columns(table, params_of(schema))), None)
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        wrong = first_line(error)
    if wrong is not None:
        raise MollituneError(
            f"{path} does not hold {table} ({wrong}); restore it from a copy or move it away"
        )
    return coded(rows)


def _differences(rows: pa.Table, schema: pa.Schema, wanted: Iterable[Column]) -> Iterator[str]:
    for column in wanted:
        if schema.names.count(column.name) != 1:
            yield f"not one column {column.name!r}"
        elif (found := schema.field(column.name).type) != column.type:
            yield f"{column.name!r} is {found}, not {column.type}"
        elif rows[column.name].null_count and not column.nullable:
            yield f"{column.name!r} has empty cells"


def _merge(tables: Iterable[pa.Table], table: str) -> Rows | None:
    parts = list(tables)
    if not parts:
        return None
    try:
        merged = pa.concat_tables(parts, promote_options="default")
    except pa.ArrowException as error:
        raise MollituneError(
            f"the files of {table} do not fit together ({first_line(error)}); move away the one "
            "of another search"
        ) from error
    return Rows(one_budget(merged) if "budget" in merged.column_names else merged, KEYS[table])
