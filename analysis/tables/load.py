"""Finding a search and loading its results."""

import difflib
import os
import posixpath
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pyarrow import fs

from mollitune._errors import MollituneError
from mollitune._files import below
from mollitune._folder import Folder, StorageError
from mollitune.search.store import (
    KEYS,
    METADATA_FILE,
    PARAMS_PREFIX,
    TABLES,
    params_of,
    read_description,
    table_schema,
)

from .parts import read_table
from .results import Results
from .rows import Rows, Tables


class NoResultsYetError(MollituneError):
    """A search that is running has no rows yet."""


def load_results(
    path: str | os.PathLike[str], root: str | os.PathLike[str] = "results"
) -> Results:
    """Load the results of a search, finished or still running.

    Args:
        path: Name of a search below ``root``, or the path or URI of its folder.
        root: Folder of all results, a local path or a URI.

    Returns:
        The results as they are now; call again for newer ones.

    Raises:
        NoResultsYetError: If it runs and has no results yet.
        MollituneError: If there is no such search, or a file of it cannot be read. The message
            says which searches there are, or which file it is.
    """
    files = Folder(find_search(os.fspath(path), os.fspath(root)))
    folder = files.root
    with files.doing("read"):
        metadata = read_description(files) or {}
        read = {table: read_table(files, table) for table in TABLES}
    found = {name: rows for name, rows in read.items() if rows is not None}
    if not found:
        _raise_empty(folder, metadata)
    params = _params(found, metadata)
    tables = {n: found[n] if n in found else _no_rows(n, params) for n in TABLES}
    name = str(metadata.get("name") or posixpath.basename(folder.rstrip("/")))
    return Results(name, metadata, Tables(tables), files.filesystem, folder)


def find_search(path: str, root: str = "results") -> str:
    """Return the path or URI of the folder of a search.

    Args:
        path: Name of a search, looked up below ``root`` first, or the path or URI of its folder.
        root: Folder of all results, a local path or a URI.

    Raises:
        MollituneError: If there is no such folder. The message says which searches there are.
    """
    is_name = "/" not in path and os.sep not in path
    places = [below(root, path), path] if is_name else [path]
    for place in places:
        if path and Folder(place).info().type == fs.FileType.Directory:
            return place
    parent, _, name = path.rstrip("/").rpartition("/")
    raise MollituneError(_not_found(name, root if is_name else parent or "/"))


def _not_found(name: str, root: str) -> str:
    names = _searches(root)
    if not names:
        return f"no search {name!r} in {root}: there are none yet"
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"no search {name!r} in {root}; there are: {', '.join(names)}{hint}"


def _searches(root: str) -> list[str]:
    folder = Folder(root)
    try:
        entries = folder.list()
    except StorageError:
        return []
    folders = [entry for entry in entries if entry.type == fs.FileType.Directory]
    markers = [posixpath.join(entry.path, METADATA_FILE) for entry in folders]
    found = folder.filesystem.get_file_info(markers) if markers else []
    return sorted(
        entry.base_name
        for entry, marker in zip(folders, found, strict=True)
        if marker.type == fs.FileType.File
    )


def _raise_empty(folder: str, metadata: dict[str, Any]) -> None:
    if metadata.get("status") in ("finished", "interrupted", "failed"):
        raise MollituneError(f"no results in {folder}: the search ended before its first trial")
    if metadata:
        raise NoResultsYetError(
            f"no results yet in {folder}: the first rows come with the first trial; try again soon"
        )
    raise MollituneError(f"{folder} holds no search: neither {METADATA_FILE} nor tables")


def _no_rows(table: str, params: Mapping[str, pa.DataType]) -> Rows:
    return Rows(table_schema(table, params).empty_table(), KEYS[table])


def _params(tables: Mapping[str, Rows], metadata: dict[str, Any]) -> dict[str, pa.DataType]:
    """Parameters of the search, for tables without rows: from the others, else their names."""
    named = {str(name): pa.float64() for name in metadata.get("params", ())}
    known = {
        name: kind for table in tables.values() for name, kind in params_of(table.schema).items()
    }
    return {name.removeprefix(PARAMS_PREFIX): kind for name, kind in (named | known).items()}
