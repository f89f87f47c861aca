"""Where images come from: scikit-learn's digits, Parquet files, folders and torchvision."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mollitune._errors import MollituneError
from mollitune._files import cache_folder

from .cache import DataSource, load_cached
from .decoding import assemble, decode
from .images import Images, Labels, UInt8
from .torchvision_sets import TORCHVISION, torchvision_source

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
KNOWN = "digits, parquet:FILE, folder:PATH, " + ", ".join(TORCHVISION)


def load_images(spec: str) -> Images:
    """Load the data set that a config names.

    All but the digits are decoded once per node: later calls, in whatever process, map the
    decoded bytes of the cache folder into memory (read-only), as long as the source's files hold
    the same bytes.

    Args:
        spec: ``digits`` (scikit-learn's 8x8 digits), ``parquet:FILE`` (a file or folder of files
            in the layout of the Hugging Face hub: a column of image bytes and, if there is one,
            an integer column ``label``), ``folder:PATH`` (image files; sub-folders are classes),
            or ``cifar10``, ``celeba``, ``mnist``, ``fashionmnist`` through torchvision (downloaded
            to ``$MOLLITUNE_DATA``, or given as ``cifar10:ROOT``). ``@64`` at the end of a Parquet
            or folder source crops to the central square and resizes it to 64 x 64.

    Raises:
        MollituneError: If the source is unknown, missing, unreadable or holds a corrupt image;
            the message names the first bad file or row.
    """
    kind, _, rest = spec.partition(":")
    if kind == "digits" and not rest:
        return _digits()
    if kind in ("parquet", "folder"):
        path, size = _path_and_size(rest)
        if not path:
            raise MollituneError(f"dataset {spec!r}: name the path, e.g. {kind}:my/images")
        make = _parquet if kind == "parquet" else _folder
        return load_cached(make(spec, Path(path).expanduser(), size), cache_folder())
    if kind in TORCHVISION:
        return load_cached(torchvision_source(spec, kind, rest), cache_folder())
    names = ["digits", "parquet", "folder", *TORCHVISION]
    close = difflib.get_close_matches(kind, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise MollituneError(f"dataset {spec!r} is unknown; {hint}allowed: {KNOWN}")


def _digits() -> Images:
    from sklearn.datasets import load_digits

    data = load_digits()
    # counts 0..16 spread over the byte range, so that black is 0 and white is 255
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)[:, None]
    return Images("digits", pixels, data.target.astype(np.int64))


def _path_and_size(text: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(.*)@(\d+)", text)
    if match is None:
        return text, None
    return match.group(1), int(match.group(2))


def _parquet(spec: str, path: Path, size: int | None) -> DataSource:
    is_folder = path.is_dir()
    files = sorted(path.glob("*.parquet")) if is_folder else [path]
    if not files or not files[0].exists():
        raise MollituneError(f"dataset {spec}: no such file; check the path {path}")
    root = path if is_folder else path.parent
    return DataSource(
        spec, "parquet", root, lambda: files, lambda: _read_parquet(spec, files, size), size
    )


def _read_parquet(spec: str, files: list[Path], size: int | None) -> Images:
    decoded: list[UInt8] = []
    labels: list[Labels | None] = []
    for file in files:
        table = _read_table(spec, file)
        column = _image_column(spec, file, table)
        rows = table.column(column).to_pylist()
        named = ((f"{file} row {row}", _image_bytes(cell)) for row, cell in enumerate(rows))
        decoded.extend(decode(spec, named, size))
        labels.append(_labels(spec, file, table))
    given = [part for part in labels if part is not None]
    # files without labels among files with them: there is no class for every image
    return assemble(spec, decoded, np.concatenate(given) if len(given) == len(files) else None)


def _read_table(spec: str, file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise MollituneError(
            f"dataset {spec}: {file} is not a readable Parquet file ({error})"
        ) from None


def _image_column(spec: str, file: Path, table: pa.Table) -> str:
    """Return the column of encoded images: bytes, or a struct that holds bytes."""
    for field in table.schema:
        kind = field.type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return str(field.name)
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return str(field.name)
    raise MollituneError(
        f"dataset {spec}: {file} has no column of image bytes; columns: "
        f"{', '.join(table.column_names)}; expected `image` = struct{{bytes, path}} or bytes"
    )


def _labels(spec: str, file: Path, table: pa.Table) -> Labels | None:
    if "label" not in table.column_names:
        return None
    column = table.column("label")
    if not pa.types.is_integer(column.type):
        return None
    if column.null_count:
        row = column.is_null().index(True).as_py()
        raise MollituneError(
            f"dataset {spec}: {file} row {row} has no label; remove it or the column `label`"
        )
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _image_bytes(cell: Any) -> bytes | None:
    return cell.get("bytes") if isinstance(cell, dict) else cell


def _folder(spec: str, path: Path, size: int | None) -> DataSource:
    if not path.is_dir():
        raise MollituneError(f"dataset {spec}: no such folder; check the path {path}")
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise MollituneError(f"dataset {spec}: no images in {path}; looked for {kinds}")
    return DataSource(
        spec, "folder", path, lambda: files, lambda: _read_folder(spec, path, files, size), size
    )


def _read_folder(spec: str, path: Path, files: list[Path], size: int | None) -> Images:
    decoded = decode(spec, _named_bytes(spec, files), size)
    classes = [f.relative_to(path).parts[0] if f.parent != path else None for f in files]
    return assemble(spec, decoded, _class_indices(classes))


def _named_bytes(spec: str, files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise MollituneError(
                f"dataset {spec}: {file} cannot be read ({error.strerror}); remove or mend it"
            ) from None
        yield str(file), data


def _class_indices(classes: list[str | None]) -> Labels | None:
    """Number the sub-folders; images outside any sub-folder mean that there are no classes."""
    names = sorted({name for name in classes if name is not None})
    if None in classes or len(names) < 2:
        return None
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[name] for name in classes if name is not None], dtype=np.int64)
