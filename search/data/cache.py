"""Decoded images on disk, so that a node decodes each source once and its processes share pages.

The key is a hash of the source's bytes: hashing is some hundred times cheaper than decoding, and
unlike sizes and times it cannot miss a change. Nothing is ever deleted here; the folder may be.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL

from mollitune._files import first_line

from .images import Images

# To be raised when the same files are to give other pixels or labels than before.
FORMAT = 2


@dataclass(frozen=True)
class DataSource:
    """Files that decode to images.

    Arguments:
        spec: The data set as the config names it.
        kind: Part of the spec that says how to decode.
        root: Folder that the files' names are relative to.
        list_files: Returns all files that the images depend on.
        decode: Reads them.
        size: Side to resize to, or None.
    """

    spec: str
    kind: str
    root: Path
    list_files: Callable[[], list[Path]]
    decode: Callable[[], Images]
    size: int | None = None

    def key(self) -> str | None:
        """Hash of the files' names and bytes and of how they are decoded; None without files."""
        # another Pillow may bring another JPEG decoder
        rules = [FORMAT, self.kind, self.size, PIL.__version__]
        digest = hashlib.sha256(json.dumps(rules).encode())
        try:
            files = self.list_files()
            for path in files:
                name = os.fsencode(path.relative_to(self.root))
                digest.update(len(name).to_bytes(8, "big") + name)
                with path.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError:
            return None  # decoding will meet the same file and name it
        return digest.hexdigest() if files else None


def load_cached(source: DataSource, folder: Path) -> Images:
    """Return a source's images, memory-mapped from the cache where it can be written.

    A cache file that is missing, damaged or was changed is written anew. Processes that write
    the same images at once write equal files.

    Args:
        source: What to decode.
        folder: The cache.

    Raises:
        MollituneError: If the source cannot be decoded.
    """
    key = source.key()
    found = key and _read(_Entry.of(folder, key), source.spec)
    if found:
        return found
    images = source.decode()
    before, key = key, source.key()
    # files that changed meanwhile may have been decoded half old, half new; there were none
    # before if the decoder has downloaded them
    if key is None or (before is not None and before != key):
        return images
    try:
        _write(_Entry.of(folder, key), images)
    except OSError as error:
        warnings.warn(
            f"dataset {source.spec}: the decoded images cannot be kept in {folder} "
            f"({error.strerror or first_line(error)}) and will be decoded again next time; set "
            "MOLLITUNE_CACHE to a folder with room",
            stacklevel=3,
        )
        return images
    return _read(_Entry.of(folder, key), source.spec) or images


@dataclass(frozen=True)
class _Entry:
    """The two files of one source: pixels, and labels with what the pixels must be."""

    pixels: Path
    note: Path

    @classmethod
    def of(cls, folder: Path, key: str) -> _Entry:
        stem = f"images-{key[:32]}"
        return cls(folder / f"{stem}.npy", folder / f"{stem}.npz")

    def stamp(self) -> list[int]:
        """Size and time of the pixels: while they stay, the pixels are as they were written."""
        status = self.pixels.stat()
        return [status.st_size, status.st_mtime_ns]


def _read(entry: _Entry, spec: str) -> Images | None:
    """Return the images of an entry, or None if there is none or it is not as it was written."""
    try:
        with np.load(io.BytesIO(entry.note.read_bytes())) as note:
            sha256, stamp = str(note["sha256"]), note["stamp"].tolist()
            labels = note.get("labels")
        # a plain view: numpy's memmap class would follow into everything computed from it
        pixels = np.asarray(np.load(entry.pixels, mmap_mode="r"))
        untouched = stamp == entry.stamp()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    if not untouched and Images(spec, pixels, labels).sha256 != sha256:
        return None
    return Images(spec, pixels, labels, known_sha256=sha256)


def _write(entry: _Entry, images: Images) -> None:
    entry.pixels.parent.mkdir(parents=True, exist_ok=True)
    _replace(entry.pixels, lambda stream: np.save(stream, images.pixels))
    note = {"sha256": np.array(images.sha256), "stamp": np.array(entry.stamp())}
    if images.labels is not None:
        note["labels"] = images.labels
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **note)
    # last: an entry without its note does not exist
    _replace(entry.note, lambda stream: stream.write(buffer.getvalue()))


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file as `mollitune._files.write_atomic`, without its bytes in memory at once."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
