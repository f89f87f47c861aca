"""A folder of the storage, local or remote: its files by name, and one form of error."""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pyarrow import fs

from ._errors import MollituneError
from ._files import append_synced, first_line, resolve, write_atomic

Retrying = Callable[[Callable[[], None]], None]
"""Tries a write, and again while it raises an OSError, for as long as it sees fit."""

_MEND = {
    "read": "check the path and its permissions, or wait for the storage",
    "write": "free some space, mend the permissions or wait for the storage",
    "create": "choose a results folder that you may write to",
    "delete": "mend the permissions or wait for the storage",
}


class StorageError(MollituneError, OSError):
    """The storage did not do what it was asked: what, where, why, and how to mend it.

    An ``OSError`` too, so that whoever can do without a file need not tell the two apart.
    """


def _once(write: Callable[[], None]) -> None:
    write()


class Folder:
    """The files of one folder, each read and written whole.

    Names are paths below the folder, such as ``samples/0003.png``; a name that leaves it is a
    ``ValueError``. It can be pickled.

    Arguments:
        location: A local path or a URI.
        filesystem: File system of the folder, if it is known: the location is then a path on it.

    Attributes:
        filesystem: The file system.
        root: The folder's path on it.

    Raises:
        MollituneError: As for `mollitune._files.resolve`.
    """

    def __init__(
        self, location: str | os.PathLike[str], filesystem: fs.FileSystem | None = None
    ) -> None:
        if filesystem is None:
            self.filesystem, self.root = resolve(location)
        else:
            self.filesystem, self.root = filesystem, os.fspath(location)

    @property
    def is_local(self) -> bool:
        """Whether it lies on a file system of this machine, which can append to a file."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def path(self, name: str) -> str:
        """Return the full path of something below the folder."""
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError(f"name must be a path inside the folder, got {name!r}")
        return posixpath.join(self.root, name)

    @contextlib.contextmanager
    def doing(
        self, what: Literal["read", "write", "create", "delete"], name: str = ""
    ) -> Iterator[None]:
        """Say in the one form what the storage, or what PyArrow makes of a file, refuses inside.

        Raises:
            StorageError: In place of an ``OSError`` or an error of PyArrow.
        """
        try:
            yield
        except StorageError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"cannot {what} {self._path(name)}: {first_line(error)}; {_MEND[what]}"
            ) from error

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none.

        Raises:
            StorageError: If it cannot be read.
        """
        with self.doing("read", name):
            try:
                with self.filesystem.open_input_file(self.path(name)) as file:
                    return bytes(file.read())
            except (FileNotFoundError, NotADirectoryError):
                return None

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return the object that a JSON file holds; None if there is no file.

        Raises:
            StorageError: If it cannot be read.
            MollituneError: If it holds no JSON object.
        """
        data = self.read(name)
        if data is None:
            return None
        try:
            found = json.loads(data)
            if not isinstance(found, dict):
                raise ValueError("it holds no JSON object")
        except (ValueError, RecursionError) as error:
            raise MollituneError(
                f"{self.path(name)} is corrupt ({first_line(error)}); restore it from a copy"
            ) from error
        return found

    def info(self, name: str = "") -> fs.FileInfo:
        """Return what the storage knows of a file or folder: its type and its size in bytes.

        Raises:
            StorageError: If the storage does not tell.
        """
        with self.doing("read", name):
            return self.filesystem.get_file_info(self._path(name))

    def list(self, name: str = "") -> Sequence[fs.FileInfo]:
        """Return what lies right in a folder, in no order; nothing if there is no such folder.

        Raises:
            StorageError: If it cannot be listed.
        """
        with self.doing("read", name):
            selector = fs.FileSelector(self._path(name), allow_not_found=True)
            try:
                found: Sequence[fs.FileInfo] = self.filesystem.get_file_info(selector)
            except NotADirectoryError:
                return []
            return found

    def write(self, name: str, data: bytes, retry: Retrying = _once) -> None:
        """Write a file, which appears whole or not at all, with the folders on the way.

        Args:
            name: The file; one that exists is replaced.
            data: The content.
            retry: How often it is tried.

        Raises:
            StorageError: If it cannot be written.
        """
        path = self.path(name)
        with self.doing("write", name):
            retry(lambda: write_atomic(self.filesystem, path, data))

    def append(self, name: str, data: bytes, retry: Retrying = _once) -> None:
        """Append to a file of a local folder and force that to disk; arguments as for `write`.

        Raises:
            StorageError: If it cannot be written; the file then is as it was.
            ValueError: If the folder is not local: object stores cannot append.
        """
        if not self.is_local:
            raise ValueError(f"{self.root} is not local: nothing can be appended to its files")
        path = Path(self.path(name))
        with self.doing("write", name):
            retry(lambda: append_synced(path, data))

    def create(self) -> bool:
        """Create the folder; return False if there is one, or a file, of its name.

        Of two processes at once on a local file system one gets True.

        Raises:
            StorageError: If it can be neither created nor looked at.
        """
        with self.doing("create"):
            if self.is_local:
                return _create_local(Path(self.root))
            if self.info().type != fs.FileType.NotFound:
                return False
            self.filesystem.create_dir(self.root, recursive=True)
        return True

    def delete(self, name: str = "") -> None:
        """Delete a file, or a folder with all that lies in it; nothing if it is not there.

        Args:
            name: What to delete; by default the folder itself.

        Raises:
            StorageError: If it cannot be deleted.
        """
        path, kind = self._path(name), self.info(name).type
        with self.doing("delete", name):
            if kind == fs.FileType.Directory:
                self.filesystem.delete_dir(path)
            elif kind != fs.FileType.NotFound:
                self.filesystem.delete_file(path)

    def _path(self, name: str) -> str:
        return self.path(name) if name else self.root


def _create_local(path: Path) -> bool:
    # One call that fails when the folder exists: of two launches at once, one wins.
    parent = path.parent
    if parent.exists() and not parent.is_dir():
        raise NotADirectoryError(f"{parent} is not a folder")
    parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
