"""What the report shows of one model, found once and used by all its cards."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from mollitune._errors import MollituneError
from mollitune.analysis.confirmation.arms import Arm, Verdict
from mollitune.analysis.confirmation.verdict import verdicts
from mollitune.analysis.ranking.best import Best, best
from mollitune.analysis.ranking.leaderboard import ranked
from mollitune.analysis.tables.comparable import comparable_reports, longest
from mollitune.analysis.tables.results import Results

from .data import ShapePoint, shape_points


class View(NamedTuple):
    """The result for one model.

    Attributes:
        model: Name of the model.
        sentence: The result in one sentence: the verdict if there is one.
        details: How sure that is, and what the search has seen; empty without a result.
        best: The recommendation; None when there is none.
        board: Its `leaderboard`, of several budgets at the largest.
        points: Its `shape_points`.
        metric: What the search minimises, as texts and axes call it.
        verdicts: What the latest confirmation says at each budget, the shortest first.
    """

    model: str
    sentence: str
    details: str
    best: Best | None
    board: pd.DataFrame
    points: list[ShapePoint]
    metric: str = "FID"
    verdicts: Sequence[Verdict] = ()

    @property
    def expected(self) -> float:
        """Lowest expected FID of the search; infinite without one."""
        return self.best.fid_expected if self.best is not None else float("inf")

    @property
    def verdict(self) -> Verdict | None:
        """What the latest confirmation says at its largest budget; None without one."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def choice(self) -> Arm | None:
        """The arm that the verdict chose; None before a confirmation is complete."""
        return self.best.confirmed if self.best is not None else None

    @property
    def configuration(self) -> int | None:
        """Number of the configuration to show as the best.

        Of a choice at another budget, which has another number, that of the search.
        """
        chosen = self.best if self.choice is None else self.choice
        if chosen is None or any(p.configuration == chosen.configuration for p in self.points):
            return None if chosen is None else chosen.configuration
        alike = (p.configuration for p in self.points if p.text == chosen.text)
        return next(alike, chosen.configuration)

    @property
    def trial(self) -> int | None:
        """Number of its run in the search with the median FID."""
        own = (p.median_trial for p in self.points if p.configuration == self.configuration)
        return next(own, None)

    @property
    def order(self) -> Iterator[int]:
        """Numbers of the complete runs: those of the confirmation, then by rank."""
        for verdict in reversed(self.verdicts):
            for arm in verdict.arms:
                yield from arm.trials
        for row in self.board["trials"]:
            yield from map(int, row.split(", "))


def view(results: Results, model: str) -> View:
    """Find what to show of a model, or say why there is nothing.

    Args:
        results: Results of a search.
        model: The model.
    """
    kept = longest(comparable_reports(results, model))["configuration"]
    board, metric = ranked(results, model), results.objective.title
    board = board[board["configuration"].isin(kept)].reset_index(drop=True)
    points = shape_points(results, model)
    try:
        found = best(results, model)
    except MollituneError as error:
        return View(model, f"On {model}: {error}.", "", None, board, points, metric)
    own = [verdict for verdict in verdicts(results) if verdict.model == model]
    return View(model, found.sentence, found.details, found, board, points, metric, own)
