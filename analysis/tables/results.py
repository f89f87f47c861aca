"""The results of one search in memory."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pandas as pd
from pyarrow import fs

from mollitune._errors import MollituneError
from mollitune._folder import Folder, StorageError
from mollitune.search.policy import Earlier, Ladder, earlier_of
from mollitune.search.store import Constraint, Objective, read_confirmation_file

from .rows import Tables
from .sql import query

T = TypeVar("T")


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

    in_html: ClassVar[Callable[["Results"], str] | None] = None
    """What a notebook shows; set by the room that can rank, which lies behind this one."""

    def _repr_html_(self) -> str | None:
        view = type(self).in_html
        return None if view is None else view(self)

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

    @cached_property
    def objective(self) -> Objective:
        """What the search minimises: FID, unless its config says otherwise."""
        return self._told("objective", Objective.from_dict) or Objective()

    @cached_property
    def constraint(self) -> Constraint | None:
        """What a second metric must keep; None without such a bound."""
        return self._told("constraint", Constraint.from_dict)

    @cached_property
    def ladder(self) -> Ladder | None:
        """The budgets of the search and of production; None where it has one."""
        return self._told("ladder", Ladder.from_dict)

    @cached_property
    def earlier(self) -> Mapping[str, tuple[Earlier, ...]]:
        """What the search knew of each model from earlier searches; empty without any."""
        return self._told("prior", earlier_of) or {}

    @cached_property
    def boards(self) -> dict[str, pd.DataFrame]:
        """The leaderboard of each model that was asked for, so that it is fitted once."""
        return {}

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
        return Path(self.root) if self.files.is_local else None

    @cached_property
    def files(self) -> Folder:
        """All files of the search."""
        return Folder(self.root, self.filesystem)

    def read_file(self, name: str) -> bytes | None:
        """Read another file of the search, such as ``samples/real.png``.

        Args:
            name: Path below the search's folder.

        Returns:
            Its content, or None when there is no such file.

        Raises:
            MollituneError: If it exists but cannot be read.
        """
        return self.files.read(name)

    def list_files(self, folder: str) -> dict[str, int]:
        """List the files in a folder of the search, such as ``samples``.

        Args:
            folder: Path below the search's folder.

        Returns:
            Size of each file by its name, bytes; empty when there is no such folder.

        Raises:
            MollituneError: If it exists but cannot be listed.
        """
        return {f.base_name: f.size for f in self.files.list(folder) if f.is_file}

    def _told(self, key: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        """What ``search.json`` says under a key; None if it says nothing."""
        told = self.metadata.get(key)
        try:
            return read(told) if told is not None else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MollituneError(
                f"search.json of {self.name!r} is damaged at {key}: restore it from a copy"
            ) from error

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
    while (content := _confirmation(results, number)) is not None:
        yield {"number": number, **content}
        number += 1


def _confirmation(results: Results, number: int) -> Mapping[str, Any] | None:
    try:
        return read_confirmation_file(results.files, number)
    except StorageError:
        raise
    except MollituneError:
        return {}


def status_of(results: Results) -> str:
    """How far a search is: its status, or ``confirming`` while a confirmation runs.

    A search that has ended and of which every trial failed is ``failed``, whatever is written.
    """
    status = str(results.metadata.get("status", "unknown"))
    if status == "running":
        return status
    if [file.get("status") for file in confirmation_files(results)][-1:] == ["running"]:
        return "confirming"
    outcomes = {*results.tables["trials"]["status"].to_pylist()}
    return "failed" if outcomes == {"failed"} else status
