"""What the report shows of one model, found once and used by all its cards."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from mollitune._errors import MollituneError

from ._report_data import ShapePoint, shape_points
from .best import Best, best
from .leaderboard import leaderboard
from .results import Results
from .verdict import Arm, Verdict


class View(NamedTuple):
    """The result for one model.

    Attributes:
        model: Name of the model.
        sentence: The result in one sentence: the verdict if there is one.
        details: How sure it is, and the lowest single FID; empty without a result.
        best: The recommendation of the search; None when there is none.
        board: Its `leaderboard`.
        points: Its `shape_points`.
        verdict: The verdict of its last confirmation; None without one.
    """

    model: str
    sentence: str
    details: str
    best: Best | None
    board: pd.DataFrame
    points: list[ShapePoint]
    verdict: Verdict | None

    @property
    def expected(self) -> float:
        """Lowest expected FID of the search; infinite without one."""
        return self.best.fid_expected if self.best is not None else float("inf")

    @property
    def configuration(self) -> int | None:
        """Number of the configuration to show as the best, of the verdict if there is one."""
        chosen = self.best if self.choice is None else self.choice
        return None if chosen is None else chosen.configuration

    @property
    def choice(self) -> Arm | None:
        """The arm that the verdict chose; None without a verdict."""
        return None if self.verdict is None else self.verdict.choice

    @property
    def trial(self) -> int | None:
        """Number of its run in the search with the median FID."""
        own = (p.median_trial for p in self.points if p.configuration == self.configuration)
        return next(own, None)

    @property
    def order(self) -> Iterator[int]:
        """Numbers of the complete runs: those of the verdict, then by rank."""
        if self.verdict is not None:
            for arm in self.verdict.arms:
                yield from arm.trials
        for row in self.board["trials"]:
            yield from map(int, row.split(", "))


def view(results: Results, model: str, verdicts: Sequence[Verdict] = ()) -> View:
    """Find what to show of a model, or say why there is nothing.

    Args:
        results: Results of a search.
        model: The model.
        verdicts: Verdicts of the search on any model; the last of this one counts.
    """
    board = leaderboard(results, model)
    points = shape_points(results, model, board)
    sentence, details, found = _recommendation(results, model)
    own = [verdict for verdict in verdicts if verdict.model == model]
    verdict = max(own, key=lambda verdict: verdict.number, default=None)
    if verdict is not None:
        sentence, details = verdict.sentence, ""
    return View(model, sentence, details, found, board, points, verdict)


def _recommendation(results: Results, model: str) -> tuple[str, str, Best | None]:
    try:
        found = best(results, model)
    except MollituneError as error:
        return f"On {model}: {error}.", "", None
    return found.headline, found.details, found
