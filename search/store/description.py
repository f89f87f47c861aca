"""What describes a search that is there already. Without Ray, which may not be imported yet."""

from __future__ import annotations

import json
import posixpath
from typing import Any

from pyarrow import fs
from pydantic import BaseModel, ValidationError

from mollitune._errors import MollituneError
from mollitune._files import first_line, resolve

from .schema import METADATA_FILE, METADATA_FORMAT


class _Hashed(BaseModel):
    sha256: str


class _Images(_Hashed):
    shape: tuple[int, int, int]


class _Plan(BaseModel):
    every: float
    samples: int
    share: float | None = None
    gain: float | None = None


class _Config(BaseModel):
    trials: int


class _Description(BaseModel):
    """What going on with a search needs of its description."""

    config: _Config
    created: str
    dataset: _Images
    extractor: _Hashed
    evaluation: dict[str, _Plan]
    params: list[str]


def read_metadata(folder: str) -> dict[str, Any]:
    """Return ``search.json`` of a search.

    Raises:
        MollituneError: If the folder holds no search, or one that never began.
    """
    filesystem, root = resolve(folder)
    path = posixpath.join(root, METADATA_FILE)
    try:
        if filesystem.get_file_info(path).type != fs.FileType.File:
            raise MollituneError(
                f"{folder} holds no search that can be resumed: it has no {METADATA_FILE}; start "
                "it with mollitune search"
            )
        with filesystem.open_input_stream(path) as stream:
            metadata = json.loads(stream.read())
    except (OSError, ValueError, RecursionError) as error:
        raise MollituneError(f"cannot read {path}: {first_line(error)}") from None
    if not isinstance(metadata, dict) or metadata.get("format") != METADATA_FORMAT:
        raise MollituneError(f"{path} is not that of a search")
    try:
        _Description.model_validate(metadata)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        raise MollituneError(
            f"{path} is damaged at {key}: {error.errors()[0]['msg']}; restore it from a copy"
        ) from None
    return metadata
