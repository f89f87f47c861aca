"""Where a schedule lies for the surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from mollitune.schedules import GRID, Mollifier, NoiseSchedule, Schedule, strengths

COORDINATES = 5
"""How many coordinates a schedule has."""
UNTIL = 0
"""Which of them is the share of the training that is mollified."""


@lru_cache(maxsize=4096)
def coordinates(schedule: Schedule) -> tuple[float, ...]:
    """Return where a schedule lies for the process, every coordinate about in [0, 1].

    Mollified share, area under the level curve, half-life, whether it blurs, and how strongly it
    starts: the variance of the noise, or a tenth of the width of the blur in pixels. Area and
    half-life are read off 64 points of the curve, to within .01, in a tenth of the time that
    `shape_features` takes.
    """
    start, until = schedule.level(0.0), schedule.until
    blurs = isinstance(schedule, Mollifier) and not isinstance(schedule, NoiseSchedule)
    if start <= 0:
        return until, 0.0, 0.0, float(blurs), 1.0
    curve = [level / start for level in strengths(schedule)[: len(GRID)]]
    area, half_life = sum(curve) / len(curve), min(_half_life(curve), until)
    return until, area, half_life, float(blurs), min(1.0, start / 10 if blurs else start)


def _half_life(curve: Sequence[float]) -> float:
    """Where a nonincreasing curve over `GRID` that starts at 1 falls to 1/2; 1 if it does not."""
    after = next((i for i, level in enumerate(curve) if level <= 0.5), len(curve))
    if after == len(curve):
        return 1.0
    left, above = (GRID[after - 1], curve[after - 1]) if after else (0.0, 1.0)
    return left + (GRID[after] - left) * (above - 0.5) / (above - curve[after])
