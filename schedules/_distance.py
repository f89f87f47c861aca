"""How far apart the curves of two schedules are."""

import math
from functools import lru_cache

from ._base import Schedule
from ._mollifier import Mollifier
from ._noise import NoiseSchedule
from .blur import Blur
from .vanilla import Vanilla

_POINTS = 64
GRID = [(i + 0.5) / _POINTS for i in range(_POINTS)]
"""Points of progress at which curves are compared."""

SAME_CURVE = 0.01
"""Distance up to which two curves count as one schedule."""


def curve_distance(a: Schedule, b: Schedule) -> float:
    """Compare two schedules by what they do to the data, whatever their families and parameters.

    Args:
        a: Any schedule.
        b: Another one; the order does not matter.

    Returns:
        The root mean square, over 64 points of progress in [0, 1], of the difference between the
        two strengths: for noise schedules the levels, so at most 1; for blurs sigma in pixels, and
        the standard deviation of the noise beside it. 0 for equal curves. `Vanilla` is a curve at
        0 of either kind. Schedules of different kinds, such as a blur and a noise, are never the
        same: ``inf``.

    Example:
        >>> from mollitune.schedules import Blur, Cosine, Linear, Polynomial
        >>> curve_distance(Linear(until=0.5), Polynomial(power=1, until=0.5))
        0.0
        >>> round(curve_distance(Linear(), Cosine()), 3)
        0.075
        >>> curve_distance(Linear(), Blur(sigma_max=4))
        inf
    """
    if Vanilla not in (type(a), type(b)) and kind_of(a) is not kind_of(b):
        return math.inf
    return math.dist(strengths(a), strengths(b)) / math.sqrt(_POINTS)


def kind_of(schedule: Schedule) -> type[Schedule]:
    """Return what its curve may be compared with: noise, blur, or schedules of its own class."""
    for kind in (NoiseSchedule, Blur):
        if isinstance(schedule, kind):
            return kind
    return type(schedule)


@lru_cache(maxsize=4096)  # a pool is compared with every newcomer
def strengths(schedule: Schedule) -> tuple[float, ...]:
    """Return the level over progress, then the noise beside a blur, at as many points."""
    noise = schedule.noise if isinstance(schedule, Blur) else 0.0
    beside = [noise if noise and schedule.mollified(p) else 0.0 for p in GRID]
    return (*_levels(schedule), *beside)


def _levels(schedule: Schedule) -> list[float]:
    if not isinstance(schedule, Mollifier):
        return [schedule.level(p) for p in GRID]
    # a search asks for thousands of curves; what `level` checks of its argument holds here
    mollified = schedule.phase_levels([p / schedule.until for p in GRID if p < schedule.until])
    return mollified + [0.0] * (len(GRID) - len(mollified))
