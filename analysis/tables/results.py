"""The results of one search in memory."""

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import fs

from mollitune._errors import MollituneError
from mollitune._files import first_line

from .rows import Tables
from .sql import query


@dataclass(frozen=True, eq=False)
class Results:
    """The tables of a search as they were when `load_results` read them.

    Every evaluation, decision and trial stands once. The columns are described in
    `mollitune.search.store.schema.describe`.

    Attributes:
        name: Name of the search.
        metadata: Content of ``search.json``: config, versions, data set; empty without it.
        tables: The Arrow tables by name, behind the data frames and `sql`; each is put together
            when it is first asked for.
        filesystem: File system of the search.
        root: The search's folder on it.
    """

    name: str
    metadata: Mapping[str, Any]
    tables: Tables
    filesystem: fs.FileSystem
    root: str

    @cached_property
    def reports(self) -> pd.DataFrame:
        """One row per evaluation, sorted by trial and step."""
        return self._frame("reports")

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """One row per stop-or-continue decision, sorted by trial, step and rung."""
        return self._frame("decisions")

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial, sorted by its number."""
        return self._frame("trials")

    def sql(self, statement: str) -> pd.DataFrame:
        """Query the tables ``reports``, ``decisions`` and ``trials`` with DuckDB's SQL.

        The query sees these tables and nothing else: no file, no network, no Python variable.
        Columns with a dot in their name need double quotes: ``"params.until"``.

        Args:
            statement: For example ``select family, min(fid) from reports group by family``.

        Raises:
            MollituneError: If DuckDB rejects the statement, with its hint.
        """
        return query(self.tables, statement)

    @property
    def folder(self) -> Path | None:
        """The search's folder when it is a local one."""
        return Path(self.root) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def read_file(self, name: str) -> bytes | None:
        """Read another file of the search, such as ``samples/real.png``.

        Args:
            name: Path below the search's folder.

        Returns:
            Its content, or None when there is no such file.

        Raises:
            MollituneError: If it exists but cannot be read.
        """
        path = posixpath.join(self.root, name)
        try:
            with self.filesystem.open_input_file(path) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MollituneError(f"cannot read {path}: {first_line(error)}") from error

    def list_files(self, folder: str) -> dict[str, int]:
        """List the files in a folder of the search, such as ``samples``.

        Args:
            folder: Path below the search's folder.

        Returns:
            Size of each file by its name, bytes; empty when there is no such folder.

        Raises:
            MollituneError: If it exists but cannot be listed.
        """
        path = posixpath.join(self.root, folder)
        try:
            found = self.filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        except OSError as error:
            raise MollituneError(f"cannot list {path}: {first_line(error)}") from error
        return {f.base_name: f.size for f in found if f.type == fs.FileType.File}

    def _frame(self, table: str) -> pd.DataFrame:
        frame: pd.DataFrame = self.tables[table].to_pandas()
        return frame

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(rows)} {name}" for name, rows in self.tables.rows.items())
        return f"Results({self.name!r}: {counts})"


def confirmation_files(results: Results) -> Iterator[Mapping[str, Any]]:
    """Read the descriptions of the confirmations of a search, the first one first.

    One that is damaged is empty: a report must not fail for it, and resuming says what is wrong.
    """
    number = 1
    while (content := results.read_file(f"confirm/{number}.json")) is not None:
        yield {"number": number, **_read(content)}
        number += 1


def _read(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def status_of(results: Results) -> str:
    """How far a search is: its status, or ``confirming`` while a confirmation runs."""
    status = str(results.metadata.get("status", "unknown"))
    states = [file.get("status") for file in confirmation_files(results)]
    return "confirming" if status != "running" and states[-1:] == ["running"] else status
