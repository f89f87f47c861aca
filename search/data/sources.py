"""Where images come from: scikit-learn's digits, Parquet or IDX files, folders and torchvision."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mollitune._errors import MollituneError
from mollitune._files import cache_folder

from .cache import DataSource, load_cached
from .decoding import assemble, decode
from .given import KIND, given
from .idx import idx_files, idx_source
from .images import Images, Labels, UInt8
from .tables import SHIPPED as TABLES
from .tables import is_table, load_table
from .torchvision_sets import TORCHVISION, torchvision_source

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
DIGITS_SHAPE = (1, 8, 8)
_CLASSES = (
    *(pa.types.is_integer, pa.types.is_boolean),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
)
_IDX = ("mnist", "fashionmnist")
KNOWN = (
    f"digits, parquet:FILE, folder:PATH, idx:PATH, {', '.join(TORCHVISION)}, a path that is "
    f"there; or of tables {', '.join(TABLES)}, table:FILE"
)


def load_images(spec: str) -> Images:
    """Load the data set that a config names.

    All but the digits are decoded once per node: later calls, in whatever process, map the
    decoded bytes of the cache folder into memory (read-only), as long as the source's files hold
    the same bytes.

    Args:
        spec: ``digits`` (scikit-learn's 8x8 digits), ``parquet:FILE`` (a file or folder of files
            in the layout of the Hugging Face hub: a column of image bytes and, if there is one,
            a column ``label`` of integers or strings), ``folder:PATH`` (image files; sub-folders
            are classes), ``idx:PATH`` (a folder of files in MNIST's format), a path alone
            (whatever of these it is), or ``cifar10``, ``celeba``, ``mnist``, ``fashionmnist``
            through torchvision (downloaded to ``$MOLLITUNE_DATA``, or given as ``cifar10:ROOT``).
            ``@64`` at the end of a path crops to the central square and resizes it to 64 x 64.
            Tables as for `load_table`.

    Raises:
        MollituneError: If the source is unknown, missing, unreadable or holds a corrupt image;
            the message names the first bad file or row.
    """
    if spec.startswith(f"{KIND}:"):
        return given(spec)
    if is_table(spec):
        return load_table(spec)
    source = _source(spec)
    return _digits() if source is None else load_cached(source, cache_folder())


def known_shape(spec: str) -> tuple[int, ...] | None:
    """Return the shape (C, H, W) of a data set's images; None if only its files tell.

    Nothing is downloaded, and nothing read but tables, whose shape is (D,).

    Args:
        spec: As for `load_images`.

    Raises:
        MollituneError: If the source is unknown, or the path is not there.
    """
    if spec.startswith(f"{KIND}:"):
        return given(spec).shape
    if is_table(spec):
        return load_table(spec).shape
    source = _source(spec)
    return DIGITS_SHAPE if source is None else TORCHVISION.get(source.kind)


def _source(spec: str) -> DataSource | None:
    """Return where the images lie; None for the digits.

    Raises:
        MollituneError: If the source is unknown, or the path is not there.
    """
    kind, _, rest = spec.partition(":")
    if kind == "digits" and not rest:
        return None
    if kind in _KINDS:
        path, size = _path_and_size(rest)
        if not path:
            raise MollituneError(f"dataset {spec!r}: name the path, e.g. {kind}:my/images")
        return _KINDS[kind](spec, Path(path).expanduser(), size)
    if kind in TORCHVISION:
        root = Path(rest).expanduser()
        if rest and kind in _IDX and root.is_dir() and idx_files(root):
            return idx_source(spec, root, None)
        return torchvision_source(spec, kind, rest)
    return _recognised(spec)


def _recognised(spec: str) -> DataSource:
    """Return what lies at a path that is given alone."""
    text, size = _path_and_size(spec)
    path = Path(text).expanduser()
    if path.is_dir():
        if idx_files(path):
            return idx_source(spec, path, size)
        return (_parquet if any(path.glob("*.parquet")) else _folder)(spec, path, size)
    if path.is_file():
        return _parquet(spec, path, size)
    if "/" in text or path.suffix:
        raise MollituneError(f"dataset {spec}: no such file or folder; check the path {path}")
    kind = spec.partition(":")[0]
    names = ["digits", *_KINDS, "table", *TORCHVISION, *TABLES]
    close = difflib.get_close_matches(kind, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise MollituneError(f"dataset {spec!r} is unknown; {hint}allowed: {KNOWN}")


def _digits() -> Images:
    # scikit-learn's own loader would import all of it, for two seconds
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz"
    rows = np.loadtxt(path, np.int64, delimiter=",")
    # counts 0..16 spread over the byte range, so that black is 0 and white is 255
    # (the stride of the channel is zero: by it torch chooses the convolutions that train LeNet)
    pixels = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)[:, None]
    return Images("digits", pixels, rows[:, -1].copy())


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
    labels: list[npt.NDArray[Any] | None] = []
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
        f"{', '.join(table.column_names)}; expected `image` = struct{{bytes, path}} or bytes; a "
        f"table of numbers is table:{file}"
    )


def _labels(spec: str, file: Path, table: pa.Table) -> npt.NDArray[Any] | None:
    """Return the column ``label``; None if it names no classes, such as a list of tags."""
    if "label" not in table.column_names:
        return None
    column = table.column("label")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not any(of_kind(column.type) for of_kind in _CLASSES):
        return None
    if column.null_count:
        row = column.is_null().index(True).as_py()
        raise MollituneError(
            f"dataset {spec}: {file} row {row} has no label; remove it or the column `label`"
        )
    return np.asarray(column.to_pylist())


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


def _idx(spec: str, path: Path, size: int | None) -> DataSource:
    if not (path.is_dir() and idx_files(path)):
        raise MollituneError(f"dataset {spec}: no files ...-images-idx3-ubyte in {path}")
    return idx_source(spec, path, size)


_KINDS = {"parquet": _parquet, "folder": _folder, "idx": _idx}
"""What a path may hold, by what stands in front of it."""


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
