"""The curves that were tried, kept so that many new ones are compared with all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mollitune.schedules import Schedule, Vanilla, curve_distance, kind_of, strengths

Array = npt.NDArray[np.float64]
_ROUNDING = 1e-6  # relative; far above that of a matrix product, and as good as never met


class TriedCurves:
    """Schedules that were tried.

    With n of them a comparison is a row of a matrix product instead of n calls of
    `curve_distance`, which it repeats where rounding could decide.

    Arguments:
        same: Distance up to which two curves count as one, see `curve_distance`.
    """

    def __init__(self, same: float) -> None:
        self._same = same
        self._schedules: list[Schedule] = []
        self._kinds: list[int] = []
        self._codes: dict[type[Schedule], int] = {}
        self._curves: Array = np.empty((0, 0))

    def add(self, schedule: Schedule) -> None:
        """Note a schedule that is tried."""
        count = len(self._schedules)
        curve = np.array(strengths(schedule))
        if count == len(self._curves):
            grown = np.zeros((max(64, 2 * count), len(curve)))
            grown[:count] = self._curves.reshape(count, len(curve))
            self._curves = grown
        self._curves[count] = curve
        self._schedules.append(schedule)
        self._kinds.append(self._code(schedule))

    def new(self, schedules: Sequence[Schedule]) -> list[Schedule]:
        """Return the schedules, in their order, whose curves are none of the tried ones."""
        if not self._schedules or not schedules:
            return list(schedules)
        asked = np.array([strengths(schedule) for schedule in schedules])
        known = self._curves[: len(self._schedules)]
        squares = _square(asked)[:, None] + _square(known)[None, :] - 2 * asked @ known.T
        # as `curve_distance` has it: the mean is over the points, half of what a curve holds
        squares /= asked.shape[1] / 2
        codes = np.array([self._code(schedule) for schedule in schedules])
        kinds = np.array(self._kinds)
        comparable = (codes[:, None] == kinds) | (codes[:, None] == 0) | (kinds == 0)
        scale = 1 + max(float(_square(asked).max()), float(_square(known).max()))
        near = comparable & (squares <= self._same**2 + _ROUNDING * scale)
        sure = near & (squares < self._same**2 - _ROUNDING * scale)
        return [
            schedule
            for i, schedule in enumerate(schedules)
            if not (sure[i].any() or self._is_tried(schedule, np.flatnonzero(near[i])))
        ]

    def _is_tried(self, schedule: Schedule, where: npt.NDArray[np.intp]) -> bool:
        return any(curve_distance(schedule, self._schedules[i]) <= self._same for i in where)

    def _code(self, schedule: Schedule) -> int:
        if type(schedule) is Vanilla:
            return 0  # the one curve that is of every kind
        return self._codes.setdefault(kind_of(schedule), 1 + len(self._codes))


def _square(curves: Array) -> Array:
    squares: Array = np.einsum("ij,ij->i", curves, curves)
    return squares
