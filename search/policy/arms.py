"""What every search tries first: vanilla and the families' defaults."""

from __future__ import annotations

from collections.abc import Iterable

from mollitune.schedules import SAME_CURVE, Schedule, curve_distance

ORDER = ("vanilla", "sigmoid", "exponential", "polynomial", "cosine", "linear", "edm", "blur")
"""Families whose defaults come first: the baseline, the paper's default, then as the defaults
fared on the recorded tables, see ``benchmarks/README.md``."""

_FEW = 3


def first_tried(defaults: Iterable[Schedule]) -> list[Schedule]:
    """Return vanilla and defaults in the order in which they are tried, each curve once.

    The default of a flexible family is often that of a simpler one: trying both would cost a run
    and show nothing.
    """
    tried: list[Schedule] = []
    for schedule in sorted(defaults, key=_place):
        if all(curve_distance(schedule, other) > SAME_CURVE for other in tried):
            tried.append(schedule)
    return tried


def arms_within(known: int, runs: float) -> int:
    """Return how many of ``known`` arms a model tries in this many runs.

    A quarter of the runs go to arms; in small searches three, and never more than half. More of
    them leave nothing to search with, see ``benchmarks/README.md``.

    Example:
        >>> [arms_within(9, runs) for runs in (1, 4, 8, 12, 24, 100)]
        [1, 2, 3, 3, 6, 9]
    """
    few = min(_FEW, int(runs // 2))
    return min(known, max(1, few, int(runs // 4)))


def _place(schedule: Schedule) -> int:
    return ORDER.index(schedule.family) if schedule.family in ORDER else len(ORDER)
