"""Locations of results, local or remote, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import importlib
import os
import posixpath
import re
import secrets
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from ._errors import MollituneError

# Folders are only parts of names there, and an upload shows when it is complete.
_OBJECT_STORES = {"s3", "gcs", "abfs"}

Opener = Callable[[str], tuple[fs.FileSystem, str]]
"""Returns the file system of a URI, and the path on it."""

STORAGE_VARIABLE = "MOLLITUNE_STORAGE"
_OPENERS: dict[str, Opener] = {}


def register_storage(scheme: str, opener: Opener) -> None:
    """Let URIs of a scheme of one's own stand wherever a location may.

    Every process that meets such a URI must have called this: the driver, the readers, and the
    workers on all nodes. Where ``MOLLITUNE_STORAGE`` names the module that calls it, each of them
    imports that module by itself.

    Args:
        scheme: What stands before ``://``: a lower-case letter, then also digits, ``+``, ``.``
            and ``-``. It replaces an earlier one of this name, also one of PyArrow's.
        opener: Returns the file system of a URI, of PyArrow's or wrapped by
            `pyarrow.fs.PyFileSystem`, and the path on it. The file system must show a file only
            once it is written whole.

    Raises:
        ValueError: If the scheme is none.
    """
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ValueError(f"scheme must be like 's3', lower case and without '://', got {scheme!r}")
    _OPENERS[scheme] = opener


def resolve(location: str | os.PathLike[str]) -> tuple[fs.FileSystem, str]:
    """Find the file system of a location and the path inside it.

    Args:
        location: A local path, with ``~`` for the home folder, or a URI such as
            ``s3://bucket/results``.

    Returns:
        The file system and the path that it understands (absolute for a local location).

    Raises:
        MollituneError: If the URI names no known file system or one that cannot be reached, it
            holds credentials, or the path is none: it holds a null character, or the home of an
            unknown user. Or if ``MOLLITUNE_STORAGE`` names a module that cannot be imported.
    """
    text = os.fspath(location)
    if "://" not in text:
        return fs.LocalFileSystem(), _absolute(text)
    _refuse_credentials(text)
    shown = text.partition("?")[0]
    opener = _opener(text.partition("://")[0])
    try:
        filesystem, path = opener(text)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = first_line(error)
        raise MollituneError(
            f"cannot open the location {shown!r}: {reason}; use a local path or a URI such as "
            "s3://bucket/folder"
        ) from error
    if not path:
        raise MollituneError(f"the location {shown!r} names no bucket or folder; add it")
    return filesystem, path


def below(location: str, name: str) -> str:
    """Return the location of something below a folder.

    Args:
        location: The folder, a local path or a URI, which may have a query.
        name: Relative path.

    Example:
        >>> below("s3://bucket/searches/?region=eu-west-1", "digits")
        's3://bucket/searches/digits?region=eu-west-1'
    """
    if "://" not in location:
        return f"{location.rstrip('/')}/{name}"
    folder, mark, query = location.partition("?")
    return f"{folder.rstrip('/')}/{name}{mark}{query}"


def _opener(scheme: str) -> Opener:
    name = os.environ.get(STORAGE_VARIABLE)
    if scheme not in _OPENERS and name:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MollituneError(
                f"{STORAGE_VARIABLE} names the module {name!r}, which cannot be imported: "
                f"{first_line(error)}; install it, or put it on PYTHONPATH"
            ) from error
    return _OPENERS.get(scheme, _open_with_arrow)


def _open_with_arrow(uri: str) -> tuple[fs.FileSystem, str]:
    filesystem, path = fs.FileSystem.from_uri(_with_single_puts(uri))
    return filesystem, path


def _refuse_credentials(uri: str) -> None:
    """Refuse what would be written into every file that names the location.

    The message does not repeat it. A bucket has neither ``:`` nor ``@`` in its name; elsewhere a
    user may stand before the host, but no password.
    """
    scheme, _, rest = uri.partition("://")
    host = rest.partition("?")[0].partition("/")[0]
    user, at, _ = rest.rpartition("@")
    if (":" in host or "@" in host) if scheme in {"s3", "gs", "gcs"} else at and ":" in user:
        raise MollituneError(
            f"the {scheme}:// location holds credentials, which would end up in the files of the "
            "search; leave them out and set them in the environment, for S3 as AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY"
        )


def _with_single_puts(uri: str) -> str:
    """Ask S3 to write a small object by one request instead of three."""
    if not uri.startswith("s3://") or "allow_delayed_open" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"


def _absolute(path: str) -> str:
    if "\0" in path:
        raise MollituneError(f"the path {path!r} holds a null character; remove it")
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise MollituneError(f"cannot find {path!r}: {first_line(error)}; spell it out") from None


def write_atomic(filesystem: fs.FileSystem, path: str, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part of it.

    A local file is written under a temporary name that starts with ``.`` in the same folder,
    forced to disk and renamed. Object stores show a file only once its upload is complete, so
    there one put is enough. Folders on the way are created.

    Args:
        filesystem: The file system to write to.
        path: The file's path on it.
        data: The whole content.

    Raises:
        OSError: If the file cannot be written; no temporary file stays behind.
    """
    if filesystem.type_name not in _OBJECT_STORES:
        filesystem.create_dir(posixpath.dirname(path), recursive=True)
    if isinstance(filesystem, fs.LocalFileSystem):
        _write_local(Path(path), data)
        return
    with filesystem.open_output_stream(path) as stream:
        stream.write(data)


def _write_local(path: Path, data: bytes) -> None:
    # Not mkstemp: its files are private, but results are for everyone whom the umask lets read.
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def append_synced(path: Path, data: bytes) -> None:
    """Append to a local file and force it to disk, whole or not at all; create what is missing.

    Args:
        path: The file.
        data: What to append.

    Raises:
        OSError: If it cannot be written.
    """
    with _opened_to_append(path) as file:
        end = file.tell()
        try:
            if file.write(data) != len(data):
                raise OSError("the disk is full")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)  # half a line would hide all that come after
            raise


def _opened_to_append(path: Path) -> FileIO:
    try:
        return path.open("ab", buffering=0)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab", buffering=0)


def _sync_folder(folder: Path) -> None:
    # The rename itself must survive a power cut; some network file systems refuse this call.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def first_line(error: BaseException) -> str:
    """The first non-empty line of an error's message, or its class name."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def cache_folder() -> Path:
    """Return the folder for what can be computed again: ``$MOLLITUNE_CACHE`` or the home cache."""
    return Path(os.environ.get("MOLLITUNE_CACHE", "~/.cache/mollitune")).expanduser()
