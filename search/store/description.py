"""The files that describe a search and its confirmations, as all who read them do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mollitune._errors import MollituneError
from mollitune._folder import Folder

from .schema import METADATA_FILE, METADATA_FORMAT

if TYPE_CHECKING:
    from pydantic import ValidationError

CONFIRMATIONS = "confirm"
"""Folder of the confirmations below that of a search."""


def confirmation_name(number: int) -> str:
    """Return the path of a confirmation's file below the search's folder.

    Example:
        >>> confirmation_name(1)
        'confirm/1.json'
    """
    return f"{CONFIRMATIONS}/{number}.json"


def read_confirmation_file(folder: Folder, number: int) -> dict[str, Any] | None:
    """Return the file of a confirmation of a search, whatever it holds; None if there is none.

    Raises:
        MollituneError: If it cannot be read, or is damaged.
    """
    return folder.read_json(confirmation_name(number))


def read_description(folder: Folder) -> dict[str, Any] | None:
    """Return ``search.json`` of a search, whatever it holds; None if there is none.

    Raises:
        MollituneError: If it cannot be read, is damaged, or is not that of a search.
    """
    metadata = folder.read_json(METADATA_FILE)
    if metadata is not None and metadata.get("format") != METADATA_FORMAT:
        raise MollituneError(
            f"{folder.path(METADATA_FILE)} is not the description of a Mollitune search"
        )
    return metadata


def read_metadata(location: str) -> dict[str, Any]:
    """Return ``search.json`` of a search that is to go on: all that this needs is there.

    Args:
        location: The search, a path or URI.

    Raises:
        MollituneError: If the folder holds no search, or one that never began.
    """
    # it takes its time, and who only reads results needs it not
    from pydantic import ValidationError

    from .resumable import Resumable

    folder = Folder(location)
    metadata = read_description(folder)
    if metadata is None:
        raise MollituneError(
            f"{location} holds no search that can be resumed: it has no {METADATA_FILE}; start "
            "it with mollitune search"
        )
    try:
        Resumable.model_validate(metadata)
    except ValidationError as error:
        raise damaged(folder.path(METADATA_FILE), error) from None
    return metadata


def damaged(path: str, error: ValidationError) -> MollituneError:
    """Return the error that names the first place where a file is not as it should be."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    return MollituneError(f"{path} is damaged at {key}: {first['msg']}; restore it from a copy")
