"""The append-only record of a search: what was started, measured and ended, in order.

Rungs, sampler, race, audit and tables are a fold over these events, so a search that was killed
at any moment goes on from them as one that was not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Self

from mollitune._errors import MollituneError
from mollitune._folder import Folder

from .retry import Retry

JOURNAL = "journal"
_LINES = "events.jsonl"
_READERS = 16
COMMIT_SECONDS = 1.0
"""Time after which an event is written at the latest, s."""
START, RESTART, REPORT, END, ERROR = "start", "restart", "report", "end", "error"

Event = dict[str, Any]


class JournalError(MollituneError):
    """The record is damaged or cannot be written."""


class Journal:
    """Writes events, those that were noted meanwhile in one piece, and reads them back.

    On a local file system they are lines of one file, forced to disk; a line that a crash cut off
    is dropped. An object store cannot append, so there each piece is an object of its own.

    Arguments:
        folder: Folder of the search.
        events: What was written before.
        retry: How long a write is tried again; by default not at all.
        name: Folder of the record below the search's.

    Its length is the number of events that are written. They are not kept in memory: a long search
    has millions.
    """

    def __init__(
        self,
        folder: Folder,
        events: Collection[Event],
        retry: Retry | None = None,
        name: str = JOURNAL,
    ) -> None:
        self._folder = folder
        self._name = name
        self._retry = retry or Retry()
        self._events = events
        self._count = len(events)
        self._noted: list[bytes] = []
        self._committed = time.monotonic()

    def __len__(self) -> int:
        return self._count

    def take(self) -> Collection[Event]:
        """Return the events that were there when the record was opened, in order, and forget them.

        A second call returns none. Those of a local file are read from it one after the other.
        """
        taken, self._events = self._events, ()
        return taken

    @classmethod
    def open(cls, location: str, retry: Retry | None = None, name: str = JOURNAL) -> Self:
        """Open the record of a search, which may be empty; arguments as for the class.

        Raises:
            StorageError: If it cannot be read.
            JournalError: If it is damaged elsewhere than at its end.
        """
        folder = Folder(location)
        with folder.doing("read", name):
            events = _read_lines(folder, name) if folder.is_local else _read_objects(folder, name)
        return cls(folder, events, retry, name)

    def note(self, kind: str, trial: int, **values: object) -> Event:
        """Return an event with its time; it is written by the next `commit`."""
        now = datetime.now(UTC).isoformat()
        event: Event = {"event": kind, "trial": trial, "time": now, **values}
        self._noted.append(json.dumps(event, default=float).encode() + b"\n")
        return event

    def commit(self) -> None:
        """Write what was noted.

        Raises:
            JournalError: If it cannot be written, or another driver has taken over; then nothing
                that depends on it may happen.
        """
        self._committed = time.monotonic()
        if not self._noted:
            return
        data = b"".join(self._noted)
        try:
            if self._folder.is_local:
                self._folder.append(f"{self._name}/{_LINES}", data, self._retry)
            else:
                name = f"{self._name}/{self._count:08d}.json"
                self._folder.write(name, data, self._retry)
        except MollituneError as error:
            raise JournalError(str(error)) from None
        self._count += len(self._noted)
        self._noted.clear()

    def commit_if_due(self) -> None:
        """Write what was noted, if that was not done for a second; raises as `commit`."""
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def append(self, kind: str, trial: int, **values: object) -> Event:
        """Write an event at once and return it; raises as `commit`."""
        event = self.note(kind, trial, **values)
        self.commit()
        return event


def trial_of(event: Mapping[str, Any]) -> int:
    """Return the number of the trial that an event belongs to."""
    return int(event["trial"])


def time_of(event: Mapping[str, Any]) -> datetime:
    """Return when an event was written."""
    return datetime.fromisoformat(event["time"])


class _Lines(Collection[Event]):
    """The events of a file, read anew in each pass, so that a million are never there at once.

    What lies behind the last whole line was written by a process that was killed in the middle of
    it, and is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        size = self._count = 0
        if not path.exists():
            return
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    _parse(line[:-1], path)
                    size += len(line)
                    self._count += 1
        if size < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(size)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Event]:
        if not self._count:
            return
        with self._path.open("rb") as file:
            # not what is written meanwhile
            for line in islice(file, self._count):
                yield _parse(line[:-1], self._path)

    def __contains__(self, event: object) -> bool:
        return any(event == own for own in self)


def _read_lines(folder: Folder, name: str) -> Collection[Event]:
    return _Lines(Path(folder.path(f"{name}/{_LINES}")))


def _read_objects(folder: Folder, name: str) -> Collection[Event]:
    names = sorted(f"{name}/{info.base_name}" for info in folder.list(name) if info.is_file)
    with ThreadPoolExecutor(_READERS) as pool:  # a request takes its time, there may be thousands
        pieces = [piece or b"" for piece in pool.map(folder.read, names)]
    if pieces and not pieces[-1].endswith(b"\n"):
        pieces.pop()  # begun by a process that was interrupted; its number is given again
    return [
        _parse(line, folder.path(name))
        for piece, name in zip(pieces, names, strict=False)
        for line in piece.splitlines() or [piece]
    ]


def _parse(line: bytes, where: str | Path) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or not {"event", "trial", "time"} <= event.keys():
        raise JournalError(
            f"{where} is damaged: {line[:40]!r} is no event; restore the file from a backup, or "
            "start a search with a new name"
        )
    return event
