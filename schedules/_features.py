"""A schedule's shape in a few numbers, comparable between families."""

import itertools
import math
from collections.abc import Callable

from ._base import Schedule

_PANELS = 12  # a multiple of the six cubic pieces of `Knots`, on which Simpson's rule is exact
_PANEL_ERROR = 1e-8  # of the area, before extrapolation
_NARROWEST = 2.0**-40  # a step of the level is halved so far and no further
_HALVINGS = 40  # of the mollified phase, when looking for a crossing
_SLOPE_STEP = 1 / 2048


def shape_features(schedule: Schedule) -> dict[str, float]:
    r"""Describe the curve of a schedule, normalised by its level at the start of training.

    Args:
        schedule: Any schedule; its level must be nonincreasing.

    Returns:
        Plain floats, over progress p in [0, 1] with l(p) = level(p) / level(0):

        - ``area``: mean of l over the whole training, within 1e-6.
        - ``half_life``: the first p with l(p) <= 1/2; 0 without mollification.
        - ``clean_share``: share of training on clean data, 1 - until.
        - ``share_above_tenth``: share of training with l > 1/10.
        - ``share_below_hundredth``: share of training with l <= 1/100, the clean phase included.
        - ``end_slope``: \|dl/dp\| just before ``until``; small for a soft landing.

    Example:
        >>> from mollitune.schedules import Linear
        >>> round(shape_features(Linear(until=0.5))["half_life"], 9)
        0.25
    """
    start, until = schedule.level(0.0), schedule.until
    last = math.nextafter(until, 0.0)

    def curve(q: float) -> float:
        # The last point is the limit from below: at `until` itself the level is 0 by definition.
        return schedule.level(min(until * q, last)) / start

    mollified = start > 0.0
    return {
        "area": until * _mean(curve) if mollified else 0.0,
        "half_life": until * _crossing(curve, 0.5) if mollified else 0.0,
        "clean_share": 1.0 - until,
        "share_above_tenth": until * _crossing(curve, 0.1) if mollified else 0.0,
        "share_below_hundredth": 1.0 - (until * _crossing(curve, 0.01) if mollified else 0.0),
        "end_slope": _end_slope(curve) / until if mollified else 0.0,
    }


def _mean(curve: Callable[[float], float]) -> float:
    """The integral of a nonincreasing function over [0, 1], by adaptive Simpson quadrature."""
    grid = [i / _PANELS for i in range(_PANELS + 1)]
    return math.fsum(
        _integral(curve, a, b, curve(a), curve(0.5 * (a + b)), curve(b))
        for a, b in itertools.pairwise(grid)
    )


def _integral(
    curve: Callable[[float], float], a: float, b: float, at_a: float, at_middle: float, at_b: float
) -> float:
    """The integral over [a, b], given the values at both ends and in the middle."""
    middle = 0.5 * (a + b)
    left, right = curve(0.5 * (a + middle)), curve(0.5 * (middle + b))
    coarse = (b - a) / 6.0 * (at_a + 4.0 * at_middle + at_b)
    fine = (b - a) / 12.0 * (at_a + 4.0 * left + 2.0 * at_middle + 4.0 * right + at_b)
    # One panel in two errs by a sixteenth of what one errs by.
    error = (fine - coarse) / 15.0
    if abs(error) <= _PANEL_ERROR or b - a <= _NARROWEST:
        return fine + error
    return _integral(curve, a, middle, at_a, left, at_middle) + _integral(
        curve, middle, b, at_middle, right, at_b
    )


def _crossing(curve: Callable[[float], float], threshold: float) -> float:
    """Where a nonincreasing function falls to ``threshold``, by bisection; 1 if it does not."""
    above, below = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (above + below)
        if curve(middle) > threshold:
            above = middle
        else:
            below = middle
    return below


def _end_slope(curve: Callable[[float], float]) -> float:
    # Second-order one-sided difference, exact for parabolas.
    step = _SLOPE_STEP
    return abs(3.0 * curve(1.0) - 4.0 * curve(1.0 - step) + curve(1.0 - 2.0 * step)) / (2.0 * step)
