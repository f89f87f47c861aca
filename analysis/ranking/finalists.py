"""Which configurations of a search are worth a confirmation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mollitune._errors import MollituneError
from mollitune.analysis.tables.comparable import comparable_reports
from mollitune.analysis.tables.configurations import configuration_of, hyperspace_of
from mollitune.analysis.tables.results import Results
from mollitune.schedules import SAME_CURVE, curve_distance
from mollitune.search.policy import Configuration

from .leaderboard import ranked


class Finalist(NamedTuple):
    """A configuration that a search recommends to confirm.

    Attributes:
        number: Number of the configuration.
        configuration: Its schedule and hyperparameters.
    """

    number: int
    configuration: Configuration


def finalists(results: Results, model: str, top: int, vanilla: bool = False) -> list[Finalist]:
    """Return the configurations of a model with the lowest expected FID, the best one first.

    Of two that are the same curve at the same hyperparameters, whatever their budgets, the worse
    is left out, and so is what breaks the constraint, unless everything does.

    Args:
        results: Results of a search.
        model: Name of the model.
        top: How many at most, >= 1.
        vanilla: Whether those without mollification are wanted, or those with it.

    Raises:
        MollituneError: If the search has no such model, none of its trials has finished, or a
            schedule's family is not registered here.
    """
    board = ranked(results, model)
    if "allowed" in board and board["allowed"].any():
        board = board[board["allowed"]]
    if board.empty:
        raise MollituneError(
            f"no trial of model {model!r} of the search {results.name!r} has finished on clean "
            "data with a finite FID yet, so there is nothing to confirm"
        )
    known = dict(_configurations(results, model))
    found: list[Finalist] = []
    for number in board.sort_values(["rank", "configuration"])["configuration"].tolist():
        own = known[number]
        again = any(same(own, other.configuration) for other in found)
        if own.is_vanilla is vanilla and not again:
            found.append(Finalist(number, own))
    return found[:top]


def tried(results: Results, model: str, wanted: Configuration) -> int | None:
    """Return the number of the first configuration of a model that is the same; None if none.

    One at another budget is another configuration.
    """
    alike = ((n, own) for n, own in _configurations(results, model) if own.scale == wanted.scale)
    return next((n for n, own in alike if same(own, wanted)), None)


def same(one: Configuration, other: Configuration) -> bool:
    """Whether two configurations are the same curve at the same hyperparameters."""
    alike = one.settings == other.settings
    return alike and curve_distance(one.schedule, other.schedule) <= SAME_CURVE


def _configurations(results: Results, model: str) -> Iterator[tuple[int, Configuration]]:
    runs = comparable_reports(results, model).sort_values("trial")
    space = hyperspace_of(results, model)
    for row in runs.drop_duplicates("configuration").to_dict("records"):
        try:
            yield int(row["configuration"]), configuration_of(row, space)
        except ValueError as error:
            raise MollituneError(
                f"configuration {row['configuration']} cannot be built: {error}; "
                "import the module that registers its family first"
            ) from error
