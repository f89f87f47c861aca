"""Controls of a confirmation: schedules that are like a finalist, but do not anneal."""

from __future__ import annotations

import math

from mollitune.schedules import Linear, NoiseSchedule, Schedule

_GRID = 200


def constant(schedule: Schedule) -> Linear | None:
    """Return constant noise of the same mean level for the same share of the training, then none.

    If it gains as much as the schedule, what helps is noise, or the clean steps that are saved,
    and not that the noise is annealed.

    Args:
        schedule: A schedule; None is returned for blur and vanilla, which have no level of noise.

    Example:
        >>> print(constant(Linear(until=0.4)))
        linear(peak=0.5, floor=0.5, until=0.4)
    """
    if not isinstance(schedule, NoiseSchedule):
        return None
    shares = [(k + 0.5) / _GRID for k in range(_GRID)]
    level = math.fsum(schedule.phase_levels(shares)) / _GRID
    level = float(f"{level:.4g}")
    return Linear(until=schedule.until, peak=level, floor=level) if level > 0 else None
