"""A schedule's shape in five numbers, comparable between families."""

import math

from ._base import Schedule

_INTERVALS = 2048


def shape_features(schedule: Schedule) -> dict[str, float]:
    r"""Describe the curve of a schedule, normalised by its level at the start of training.

    Args:
        schedule: Any schedule; its level must be nonincreasing.

    Returns:
        Plain floats, over progress p in [0, 1] with l(p) = level(p) / level(0):

        - ``area``: mean of l over the whole training.
        - ``half_life``: the first p with l(p) <= 1/2; 0 without mollification.
        - ``clean_share``: share of training on clean data, 1 - until.
        - ``share_above_tenth``: share of training with l > 1/10.
        - ``end_slope``: \|dl/dp\| just before ``until``; small for a soft landing.

    Example:
        >>> from mollitune.schedules import Linear
        >>> round(shape_features(Linear(until=0.5))["half_life"], 9)
        0.25
    """
    start, until = schedule.level(0.0), schedule.until
    clean = {"clean_share": 1.0 - until}
    if start == 0.0:
        return {"area": 0.0, "half_life": 0.0, **clean, "share_above_tenth": 0.0, "end_slope": 0.0}
    # The last point is the limit from below: at `until` itself the level is 0 by definition.
    grid = [until * i / _INTERVALS for i in range(_INTERVALS)] + [math.nextafter(until, 0.0)]
    levels = [schedule.level(p) / start for p in grid]
    mean = (math.fsum(levels) - 0.5 * (levels[0] + levels[-1])) / _INTERVALS
    # Second-order one-sided difference, exact for parabolas.
    slope = (3.0 * levels[-1] - 4.0 * levels[-2] + levels[-3]) * _INTERVALS / (2.0 * until)
    return {
        "area": mean * until,
        "half_life": _last_above(schedule, 0.5 * start),
        **clean,
        "share_above_tenth": _last_above(schedule, 0.1 * start),
        "end_slope": abs(slope),
    }


def _last_above(schedule: Schedule, threshold: float) -> float:
    """Where the level falls to ``threshold``, by bisection down to neighbouring floats."""
    above, below = 0.0, schedule.until
    while True:
        middle = 0.5 * (above + below)
        if not above < middle < below:
            return below
        if schedule.level(middle) > threshold:
            above = middle
        else:
            below = middle
