"""The schedule file: a small versioned JSON document, written at once or not at all."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from ._errors import ScheduleFileError

FORMAT = "mollitune.schedule"
VERSION = 1
MAX_BYTES = 2**20
_RESERVED = ("format", "version", "family", "params")


def write(
    path: str | os.PathLike[str], schedule: Mapping[str, Any], extra: Mapping[str, object]
) -> None:
    """Write a schedule, given as plain data, and the extras after it.

    Raises:
        ValueError: If an extra has a reserved name or is not representable in JSON.
        OSError: If the file cannot be written.
    """
    clash = [name for name in _RESERVED if name in extra]
    if clash:
        raise ValueError(
            f"extra must not use the reserved names {', '.join(_RESERVED)}, got {clash}"
        )
    header = {"format": FORMAT, "version": VERSION, **schedule}
    try:
        # One round trip sorts the extras at every depth while the header keeps its order.
        extra = json.loads(json.dumps(extra, sort_keys=True, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"extra must be JSON values without NaN: {error}") from error
    text = json.dumps({**header, **extra}, indent=2, allow_nan=False)
    _write_atomically(Path(path), text + "\n")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the document in a schedule file after a check of its format and version.

    Raises:
        ScheduleFileError: If the file is missing, unreadable, no JSON object, of another format,
            of a version that this release does not know, or larger than 1 MiB.
    """
    try:
        text = _text(Path(path))
    except FileNotFoundError as error:
        raise ScheduleFileError(
            f"{path}: no such file; check the path, or make one with schedule.save(path)"
        ) from error
    except (OSError, ValueError) as error:
        raise ScheduleFileError(
            f"{path}: not readable ({_one_line(error)}); give a JSON file that you may read"
        ) from error
    try:
        document = json.loads(text, parse_constant=_reject_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ScheduleFileError(
            f"{path}: not valid JSON ({_one_line(error)}); mend it or save the schedule again"
        ) from error
    _check_header(path, document)
    checked: dict[str, Any] = document
    return checked


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    return data.decode("utf-8")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object; a name that stands twice would leave open which value was meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a name twice")
    odd = [name for name in found if not name.isprintable()]
    if odd:
        raise ValueError(f"the name {odd[0]!r} holds a character that does not print")
    return found


def _check_header(path: str | os.PathLike[str], document: object) -> None:
    if not isinstance(document, dict):
        raise ScheduleFileError(
            f"{path}: must hold a JSON object, not {type(document).__name__}; "
            "give a file made with schedule.save(path)"
        )
    if document.get("format") != FORMAT:
        raise ScheduleFileError(
            f"{path}: format must be {FORMAT!r}, got {document.get('format')!r}; "
            "give a file made with schedule.save(path)"
        )
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise ScheduleFileError(
            f"{path}: version must be an integer >= 1, got {version!r}; save the schedule again"
        )
    if version > VERSION:
        raise ScheduleFileError(
            f"{path}: version {version} is newer than {VERSION}, the newest that this release "
            "reads; upgrade mollitune"
        )


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, since a rename is atomic only within one file system. A plain open keeps
    # the user's umask; tempfile would make the file unreadable for colleagues.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with part.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
