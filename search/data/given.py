"""Images or tables that were given in Python: arrays, tensors, or a data set of torch's kind."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mollitune._errors import MollituneError

from .images import Images, Labels, UInt8
from .tables import ROWS, checked_column

KIND = "array"
_CHANNELS = (1, 3)
_given: dict[str, Images] = {}


def give(data: Any) -> str:
    """Make images known to this process, and return the name by which a config has them.

    The name holds a hash: the same images have the same one in every process.

    Args:
        data: Bytes, or numbers k / 255 in [0, 1], as an array or tensor with shape (N, H, W),
            (N, C, H, W) or (N, H, W, C), C of 1 or 3; a pair of that and N class labels; or a data
            set whose items are images, or begin with an image and its label. Numbers other than
            bytes, with shape (N, D), are the rows of a table.

    Raises:
        MollituneError: If it is none of these.
    """
    if not isinstance(data, tuple) and not hasattr(data, "shape"):
        data = _collected(data)
    pixels, labels = data if isinstance(data, tuple) else (data, None)
    if len(np.shape(pixels)) == 2 and labels is None and _array(pixels).dtype != np.uint8:
        rows = Images(KIND, _rows(_array(pixels)))
        name = f"{ROWS}{rows.sha256[:12]}"
        _given[name] = replace(rows, name=name, known_sha256=rows.sha256)
        return name
    unnamed = Images(KIND, _bytes(_array(pixels)), _classes(labels, len(pixels)))
    name = f"{KIND}:{unnamed.sha256[:12]}"
    _given[name] = Images(name, unnamed.pixels, unnamed.labels, unnamed.sha256)
    return name


def given(spec: str) -> Images:
    """Return images by their name.

    Raises:
        MollituneError: If this process was not given them.
    """
    if spec not in _given:
        raise MollituneError(
            f"dataset {spec} is an array that was given in Python; go on there, as "
            "mollitune.Search(dataset=the same array, ...)"
        )
    return _given[spec]


def _array(data: Any) -> npt.NDArray[Any]:
    return np.asarray(data.detach().cpu() if hasattr(data, "detach") else data)


def _rows(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the rows of a table (N, D)."""
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise MollituneError(f"dataset: a table of numbers is wanted, not of {array.dtype}")
    columns = [checked_column(f"dataset: column {k}", own) for k, own in enumerate(array.T)]
    return np.stack(columns, axis=1).astype(np.float32)


def _bytes(array: npt.NDArray[Any]) -> UInt8:
    """Return images as bytes (N, C, H, W)."""
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[1] not in _CHANNELS and array.shape[3] in _CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in _CHANNELS or 0 in array.shape:
        raise MollituneError(
            f"dataset: images have shape (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 "
            f"channels, not {array.shape}"
        )
    scaled = array
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != np.bool_:
        scaled = np.rint(array * 255.0)
        if not np.allclose(scaled, array * 255.0, atol=1e-2):
            raise MollituneError(
                "dataset: numbers that are no bytes; likelihoods are those of 256 levels: give "
                "uint8, or k / 255 in [0, 1]"
            )
    if scaled.min() < 0 or scaled.max() > 255:
        low, high = array.min(), array.max()
        raise MollituneError(f"dataset: values are in [{low:g}, {high:g}]; give bytes, or [0, 1]")
    return np.ascontiguousarray(scaled.astype(np.uint8))


def _classes(labels: Any, count: int) -> Labels | None:
    if labels is None:
        return None
    array = _array(labels)
    if array.shape != (count,):
        raise MollituneError(f"dataset: {count} images have labels of shape {array.shape}")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _collected(data: Any) -> Any:
    """Return all images of a data set, and their labels if they have some."""
    if not hasattr(data, "__getitem__") or not isinstance(data, Sized):
        raise MollituneError(
            f"dataset: {type(data).__name__} is no array, no tensor, no data set with a length, "
            "and no text that names one"
        )
    items = [data[i] for i in range(len(data))]  # type: ignore[index]
    if not items:
        raise MollituneError("dataset: it is empty")
    if not isinstance(items[0], tuple | list):
        return _stacked(items)
    labels = [item[1] for item in items] if len(items[0]) > 1 else None
    return _stacked([item[0] for item in items]), labels


def _stacked(images: list[Any]) -> npt.NDArray[Any]:
    arrays = [_array(image) for image in images]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise MollituneError(f"dataset: images of several shapes, {sorted(shapes)[:3]}")
    return np.stack(arrays)
