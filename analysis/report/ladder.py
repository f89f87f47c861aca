"""The arms of a model over its budgets, as plain data."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mollitune._errors import MollituneError
from mollitune.analysis.confirmation.paired import Interval
from mollitune.analysis.ranking.ladder import Measured, measured, several_budgets
from mollitune.analysis.ranking.trends import Trends, trends
from mollitune.analysis.tables.results import Results

MOST = 6
"""Arms besides vanilla that are drawn, at most."""


class BudgetPoint(NamedTuple):
    """An arm at one budget.

    Attributes:
        at: The budget, in the unit of the `Trends`.
        trial: Its run with the median value, which a click shows.
        seeds: How many it has.
        mean: Their mean.
        difference: Mean paired difference from vanilla; NaN without a pair.
        low: Lower end of its interval, one of several that hold at once; NaN without one.
        high: Upper end.
        until: Share of training that is mollified; NaN for vanilla.
    """

    at: int
    trial: int
    seeds: int
    mean: float
    difference: float
    low: float
    high: float
    until: float


class BudgetCurve(NamedTuple):
    """An arm over the budgets.

    Attributes:
        arm: The arm as short text.
        family: Its schedule family.
        source: ``confirm`` or ``search``.
        points: What it did, by rising budget.
    """

    arm: str
    family: str
    source: str
    points: tuple[BudgetPoint, ...]


class BudgetView(NamedTuple):
    """What the report shows of the budgets of a model.

    Attributes:
        trends: What may be said.
        curves: Vanilla of each source, then up to `MOST` arms: those with most budgets, and the
            lowest mean at the largest of them, first.
        left_out: Number of arms that are not among them.
        best: For each budget the schedule with the lowest mean, vanilla apart, of that source
            which has more budgets.
    """

    trends: Trends
    curves: list[BudgetCurve]
    left_out: int
    best: list[tuple[str, BudgetPoint]]


def budget_view(results: Results, model: str) -> BudgetView | None:
    """Collect what the report shows; None for one budget, or values that do not compare.

    Args:
        results: Results of the search.
        model: Name of the model.
    """
    if not several_budgets(results, model):
        return None
    try:
        found, (known,) = measured(results, model), trends(results, model)
    except (MollituneError, ValueError):
        return None
    if len(known.budgets) < 2:
        return None
    count = {one.budget: one.steps if known.unit == "steps" else one.budget for one in found}
    curves = _curves(found, known, count)
    plain = [curve for curve in curves if curve.family == "vanilla"]
    others = [curve for curve in curves if curve.family != "vanilla"]
    own = [one for one in found if (one.source == "confirm") is known.confirmed]
    return BudgetView(known, plain + others[:MOST], len(others[MOST:]), _best(own, count))


def _curves(
    found: Sequence[Measured], known: Trends, count: Mapping[int, int]
) -> list[BudgetCurve]:
    intervals = {
        (arm.key, arm.source, rung.budget): rung.interval
        for arm in known.arms
        for rung in arm.trend.rungs
    }
    groups: dict[tuple[object, str], list[Measured]] = {}
    for one in found:
        groups.setdefault((one.key, one.source), []).append(one)
    for key, source in [*groups]:  # fresh seeds at several budgets stand for the search's
        if source == "search" and len(groups.get((key, "confirm"), ())) > 1:
            del groups[key, source]
    curves = []
    for own in groups.values():
        own.sort(key=lambda one: one.budget)
        points = []
        for one in own:
            at = count[one.budget]
            points.append(_point(one, at, intervals.get((one.key, one.source, at))))
        curves.append(BudgetCurve(own[0].arm, own[0].family, own[0].source, tuple(points)))
    return sorted(curves, key=_order)


def _order(curve: BudgetCurve) -> tuple[int, int, float, str]:
    last = curve.points[-1]
    return -len(curve.points), -last.at, last.mean, curve.arm


def _point(one: Measured, at: int, interval: Interval | None) -> BudgetPoint:
    differences = one.differences
    mean = math.fsum(differences) / len(differences) if differences else math.nan
    low, high = (math.nan, math.nan) if interval is None else interval[1:]
    return BudgetPoint(at, one.trial, len(one.values), one.mean, mean, low, high, one.until)


def _best(found: Sequence[Measured], count: Mapping[int, int]) -> list[tuple[str, BudgetPoint]]:
    schedules = [one for one in found if one.family != "vanilla" and not math.isnan(one.until)]
    best: dict[int, Measured] = {}
    for one in sorted(schedules, key=lambda one: (one.budget, one.mean)):
        best.setdefault(one.budget, one)
    return [(one.arm, _point(one, count[one.budget], None)) for one in best.values()]
