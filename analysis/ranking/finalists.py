"""Which schedules of a search are worth a confirmation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from mollitune._errors import MollituneError
from mollitune.analysis.tables.comparable import comparable_reports
from mollitune.analysis.tables.results import Results
from mollitune.analysis.tables.schedules import schedule_of
from mollitune.schedules import SAME_CURVE, Schedule, curve_distance

from .leaderboard import leaderboard


class Finalist(NamedTuple):
    """A schedule that a search recommends to confirm.

    Attributes:
        configuration: Number of the configuration.
        schedule: Its schedule.
    """

    configuration: int
    schedule: Schedule


def finalists(results: Results, model: str, top: int) -> list[Finalist]:
    """Return the configurations of a model with the lowest expected FID, the best one first.

    Vanilla is none of them, and of two that are the same curve the worse is left out.

    Args:
        results: Results of a search.
        model: Name of the model.
        top: How many at most, >= 1.

    Raises:
        MollituneError: If the search has no such model, none of its trials has finished, or a
            schedule's family is not registered here.
    """
    board = leaderboard(results, model)
    if board.empty:
        raise MollituneError(
            f"no trial of model {model!r} of the search {results.name!r} has finished on clean "
            "data with a finite FID yet, so there is nothing to confirm"
        )
    rows = {int(row["configuration"]): row for row in _rows(results, model)}
    found: list[Finalist] = []
    for number in board.sort_values(["rank", "configuration"])["configuration"]:
        schedule = _schedule(rows[int(number)])
        known = (curve_distance(schedule, other.schedule) <= SAME_CURVE for other in found)
        if schedule.family != "vanilla" and not any(known):
            found.append(Finalist(int(number), schedule))
    return found[:top]


def tried(results: Results, model: str, schedule: Schedule) -> int | None:
    """Return the number of the first configuration of a model with this curve; None if none."""
    for row in _rows(results, model):
        if curve_distance(_schedule(row), schedule) <= SAME_CURVE:
            return int(row["configuration"])
    return None


def _rows(results: Results, model: str) -> list[Mapping[Hashable, Any]]:
    runs = comparable_reports(results, model).sort_values("trial")
    return list(runs.drop_duplicates("configuration").to_dict("records"))


def _schedule(row: Mapping[Hashable, Any]) -> Schedule:
    try:
        return schedule_of(row)
    except ValueError as error:
        raise MollituneError(
            f"the schedule of configuration {row['configuration']} cannot be built: {error}; "
            "import the module that registers its family first"
        ) from error
