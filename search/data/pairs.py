"""How the columns of a table lie together: a picture of every pair of the first few."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .images import UInt8

COLUMNS = 5
CELL = 48
REACH = 3.5
"""Standard deviations from the mean that a cell shows, of the training part's."""
_PAPER, _FRAME = 255, 190


def pair_plot(rows: npt.NDArray[np.float32]) -> UInt8:
    """Return a gray picture: scatter plots of pairs of columns, histograms on the diagonal.

    Cells of two pictures are alike, so that real rows and samples can be held beside each other.

    Args:
        rows: Standardised rows with shape (N, D).
    """
    count = min(rows.shape[1], COLUMNS)
    step = CELL + 1
    page = np.full((count * step + 1, count * step + 1), _PAPER, np.uint8)
    page[::step], page[:, ::step] = _FRAME, _FRAME
    # the place of each value along a cell; what lies outside is not shown
    place = np.floor((rows[:, :count] + REACH) / (2 * REACH) * CELL).astype(int)
    seen = (place >= 0) & (place < CELL)
    for i in range(count):
        for j in range(count):
            cell = page[i * step + 1 :, j * step + 1 :][:CELL, :CELL]
            own = place[seen[:, i] & seen[:, j]]
            if i == j:
                _bars(cell, own[:, i])
            else:
                _points(cell, own[:, j], own[:, i])
    return page


def _points(cell: UInt8, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> None:
    np.minimum.at(cell, (CELL - 1 - y, x), 40)


def _bars(cell: UInt8, x: npt.NDArray[np.int64]) -> None:
    counts = np.bincount(x // 3, minlength=CELL // 3).repeat(3)
    heights = np.round(counts / max(1, counts.max()) * (CELL - 4)).astype(int)
    cell[np.arange(CELL)[::-1, None] < heights[None]] = 110
