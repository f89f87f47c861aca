"""Fewer points for the same picture: large searches would draw hundreds of thousands."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_STRIDE = 8
_TOLERANCE = 0.004


def thinned(
    values: Sequence[float], keep: Sequence[int], most: int
) -> npt.NDArray[np.intp] | range:
    """Choose points of a curve so that it still looks the same.

    Both ends, the points to keep, and the lowest and highest value of each of some equal parts
    stay, so that no spike is lost.

    Args:
        values: Heights of the curve, at least one.
        keep: Indices that must stay.
        most: Largest number of points, but for those that must stay.

    Returns:
        Indices in order; all of them where there are no more than ``most``.

    Example:
        >>> thinned([9, 8, 7, 99, 5, 4, 3, 2, 1, 0], keep=[1], most=6).tolist()
        [0, 1, 3, 4, 5, 8, 9]
    """
    count = len(values)
    if count <= most:
        return range(count)
    heights = np.asarray(values)
    parts = np.array_split(np.arange(1, count - 1), max(1, (most - 2) // 2))
    chosen = [0, count - 1, *keep]
    for part in parts:
        if part.size:
            own = heights[part]
            chosen += [int(part[own.argmin()]), int(part[own.argmax()])]
    return np.unique(chosen)


def thinned_evenly(progress: Sequence[float], values: Sequence[float]) -> npt.NDArray[np.intp]:
    """Choose points of a smooth curve so that straight lines between them are as good.

    Every eighth point stays; between two of them all stay where the curve is farther from the
    line than .004.

    Args:
        progress: Places of the points, in order.
        values: Heights of the curve there.

    Returns:
        Indices in order.
    """
    x, y = np.asarray(progress), np.asarray(values)
    kept = np.zeros(len(x), bool)
    kept[::_STRIDE] = kept[-1:] = True
    chord = np.interp(x, x[kept], y[kept])
    off = np.abs(y - chord) > _TOLERANCE
    part = np.arange(len(x)) // _STRIDE
    return np.flatnonzero(kept | np.isin(part, part[off]))
