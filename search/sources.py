"""Where images come from: scikit-learn's digits, Parquet files, folders and torchvision."""

from __future__ import annotations

import difflib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from mollitune._errors import MollituneError

from .dataset import Images, Labels, UInt8

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
TORCHVISION = ("cifar10", "celeba", "mnist", "fashionmnist")
KNOWN = "digits, parquet:FILE, folder:PATH, " + ", ".join(TORCHVISION)


def load_images(spec: str) -> Images:
    """Load the data set that a config names.

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
        reader = _parquet if kind == "parquet" else _folder
        return reader(spec, Path(path), size)
    if kind in TORCHVISION:
        return _torchvision(spec, kind, rest)
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


def _parquet(spec: str, path: Path, size: int | None) -> Images:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise MollituneError(f"dataset {spec}: no such file; check the path {path}")
    decoded: list[npt.NDArray[np.uint8]] = []
    labels: list[npt.NDArray[np.int64]] = []
    for file in files:
        table = _read_table(spec, file)
        column = _image_column(spec, file, table)
        rows = table.column(column).to_pylist()
        named = ((f"{file} row {row}", _image_bytes(cell)) for row, cell in enumerate(rows))
        decoded.extend(_decode(spec, named, size))
        if "label" in table.column_names and pa.types.is_integer(table.schema.field("label").type):
            labels.append(table.column("label").to_numpy().astype(np.int64))
    whole = np.concatenate(labels) if labels else None
    return _assemble(spec, decoded, whole)


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


def _image_bytes(cell: Any) -> bytes | None:
    return cell.get("bytes") if isinstance(cell, dict) else cell


def _folder(spec: str, path: Path, size: int | None) -> Images:
    if not path.is_dir():
        raise MollituneError(f"dataset {spec}: no such folder; check the path {path}")
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise MollituneError(f"dataset {spec}: no images in {path}; looked for {kinds}")
    decoded = _decode(spec, ((str(f), f.read_bytes()) for f in files), size)
    classes = [f.relative_to(path).parts[0] if f.parent != path else None for f in files]
    return _assemble(spec, decoded, _class_indices(classes))


def _class_indices(classes: list[str | None]) -> Labels | None:
    """Number the sub-folders; images outside any sub-folder mean that there are no classes."""
    names = sorted({name for name in classes if name is not None})
    if None in classes or len(names) < 2:
        return None
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[name] for name in classes if name is not None], dtype=np.int64)


def _decode(
    spec: str, named: Iterable[tuple[str, bytes | None]], size: int | None
) -> list[npt.NDArray[np.uint8]]:
    return [_decode_one(spec, where, data, size) for where, data in named]


def _decode_one(
    spec: str, where: str, data: bytes | None, size: int | None
) -> npt.NDArray[np.uint8]:
    if data is None:
        raise MollituneError(
            f"dataset {spec}: {where} holds no image bytes; remove it and run again"
        )
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
        image = image.convert("L" if image.mode in ("1", "L", "I;16", "I") else "RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise MollituneError(
            f"dataset {spec}: {where} is not a readable image ({error}); remove or mend it"
        ) from None
    if size is not None:
        image = _square(image).resize((size, size), Image.Resampling.LANCZOS)
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _square(image: Image.Image) -> Image.Image:
    """Crop to the central square; before the resize, which would look beyond the edges."""
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _assemble(spec: str, decoded: list[npt.NDArray[np.uint8]], labels: Labels | None) -> Images:
    channels = max((image.shape[0] for image in decoded), default=0)
    # a gray image among coloured ones is a coloured image whose channels agree
    coloured = [np.repeat(i, 3, axis=0) if i.shape[0] < channels else i for i in decoded]
    shapes = sorted({image.shape for image in coloured})
    if len(shapes) != 1:
        found = " and ".join(f"{s[2]}x{s[1]}" for s in shapes[:2]) or "no images"
        raise MollituneError(
            f"dataset {spec}: images differ in size ({found}); add @SIZE to crop and resize them, "
            f"e.g. {spec}@32"
        )
    if labels is not None:
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return Images(spec, np.stack(coloured), labels)


def _torchvision(spec: str, kind: str, root: str) -> Images:
    home = Path(root or os.environ.get("MOLLITUNE_DATA", "~/.cache/mollitune/data")).expanduser()
    try:
        pixels, labels = _TORCHVISION_READERS[kind](home)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise MollituneError(
            f"dataset {spec}: cannot be read from or downloaded to {home} ({reason}); put "
            f"torchvision's files there, or give another root as {kind}:ROOT"
        ) from None
    return Images(spec, pixels, labels)


def _read_cifar10(home: Path) -> tuple[UInt8, Labels]:
    from torchvision.datasets import CIFAR10

    data = CIFAR10(str(home), train=True, download=True)
    return data.data.transpose(0, 3, 1, 2).copy(), np.asarray(data.targets, dtype=np.int64)


def _read_mnist(home: Path, fashion: bool = False) -> tuple[UInt8, Labels]:
    from torchvision.datasets import MNIST, FashionMNIST

    data = (FashionMNIST if fashion else MNIST)(str(home), train=True, download=True)
    return data.data.numpy()[:, None], data.targets.numpy().astype(np.int64)


def _read_celeba(home: Path) -> tuple[UInt8, Labels]:
    """CelebA cropped to its central 148 x 148 and resized to 64 x 64, the usual preparation.

    The attribute ``Male`` serves as the label, as the training set of a feature extractor.
    """
    from torchvision.datasets import CelebA

    data = CelebA(str(home), split="train", target_type="attr", download=True)
    pixels = np.stack(list(_celeba_pixels(data)))
    return pixels, data.attr[:, data.attr_names.index("Male")].numpy().astype(np.int64)


def _celeba_pixels(data: Any) -> Iterator[npt.NDArray[np.uint8]]:
    for image, _ in data:
        width, height = image.size
        left, top = (width - 148) // 2, (height - 148) // 2
        face = image.crop((left, top, left + 148, top + 148))
        small = face.resize((64, 64), Image.Resampling.BILINEAR)
        yield np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)


_TORCHVISION_READERS: dict[str, Callable[[Path], tuple[UInt8, Labels]]] = {
    "cifar10": _read_cifar10,
    "celeba": _read_celeba,
    "mnist": _read_mnist,
    "fashionmnist": lambda home: _read_mnist(home, fashion=True),
}
