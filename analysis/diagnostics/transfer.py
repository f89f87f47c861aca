"""Does the schedule that wins on one model win on another?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from mollitune.analysis.ranking.expectation import LEVEL
from mollitune.analysis.ranking.leaderboard import named, ranked
from mollitune.analysis.tables.comparable import comparable_reports, longest, require_alike
from mollitune.analysis.tables.configurations import configuration_of, hyperspace_of
from mollitune.analysis.tables.results import Results
from mollitune.schedules import SAME_CURVE, Schedule, curve_distance
from mollitune.search.policy import MODELLED, Configuration, Hyperspace, ShapeSurrogate
from mollitune.search.store import COMPARABLE_WITHIN

from .correlation import rank_correlation

_COLUMNS = {
    "winner_of": "str",
    "on": "str",
    "configuration": "int64",
    "schedule": "str",
    "source": "str",
    "configuration_on": "Int64",
    "runs": "int64",
    "rank": "Int64",
    "ranked": "int64",
    "fid_expected": "float64",
    "fid_low": "float64",
    "fid_high": "float64",
    "best_expected": "float64",
    "vanilla_expected": "float64",
    "regret": "float64",
    "common": "int64",
    "correlation": "float64",
    "correlation_low": "float64",
    "correlation_high": "float64",
}


def transfer(results: Results) -> pd.DataFrame:
    """Tell for each pair of models where the recommendation of one stands on the other.

    Schedules are the same if their curves are, whatever their families and parameters. FIDs of
    two models are never compared with each other: everything but ``winner_of``, ``configuration``
    and ``schedule`` is about the model ``on``.

    Args:
        results: Results of a search, best one with several models.

    Returns:
        One row per ordered pair, sorted by ``winner_of`` and ``on``:

        - ``configuration`` and ``schedule``: what is recommended for ``winner_of``, see
          `leaderboard`.
        - ``source``: how its FID on the other model is known. *measured*: it was tried there, as
          ``configuration_on``, with ``runs`` complete runs. *predicted*: it was not, and the
          `ShapeSurrogate` of that model says what schedules of like shape promise. *unknown*: it
          was not, and fewer than 8 schedules were, or its family is not registered here.
        - ``rank``: where it stands, or by its prediction would stand, among the ``ranked``
          configurations of that model; 1 is best.
        - ``fid_expected``, ``fid_low``, ``fid_high``: its expected FID there with a 90 % interval
          (NaN where no seed was repeated yet).
        - ``best_expected``, ``vanilla_expected``: the expected FID of the other model's own best
          configuration, and of its vanilla training (NaN without one).
        - ``regret``: what using the foreign winner costs, ``fid_expected`` minus
          ``best_expected``. A prediction can promise more than all that was tried: negative.
        - ``common``: how many schedules both models tried. ``correlation``: Spearman's between
          their expected FIDs on the two models, with a 90 % interval ``correlation_low`` to
          ``correlation_high``; NaN for fewer than 4 in common. Expected FIDs lean on schedules of
          like shape, on both models, which can make it higher than that of the raw means.

        Empty with fewer than two models that have a complete run.

    Raises:
        MollituneError: If the FIDs of a model were not all measured alike.
    """
    groups = list(longest(comparable_reports(results)).groupby("model", sort=True))
    alone = len(groups) < 2
    models = [] if alone else [_Model(results, str(name), own) for name, own in groups]
    table = [_row(a, b) for a, b in permutations(models, 2)]
    return named(pd.DataFrame(table, columns=list(_COLUMNS)).astype(_COLUMNS), results.objective)


class _Model:
    """What one model has tried, best first."""

    def __init__(self, results: Results, name: str, runs: pd.DataFrame) -> None:
        require_alike(results, runs, COMPARABLE_WITHIN)
        self.name = name
        board = ranked(results, name)
        self.board = board[board["configuration"].isin(runs["configuration"])]
        self.expected: list[float] = self.board["fid_expected"].tolist()
        numbers = self.board["configuration"].tolist()
        of_each = dict(iter(runs.groupby("configuration")))
        self._runs = [of_each[number] for number in numbers]
        self._space = hyperspace_of(results, name)
        self.configurations = [_configuration(own, self._space) for own in self._runs]
        self.schedules = [None if c is None else c.schedule for c in self.configurations]

    @property
    def vanilla(self) -> float:
        return float(self.board["vanilla_expected"].iloc[0])

    @cached_property
    def surrogate(self) -> ShapeSurrogate | None:
        """What shapes say about FID here; None with too few schedules to say anything."""
        known = [i for i, own in enumerate(self.configurations) if own is not None]
        configurations = [own for own in self.configurations if own is not None]
        values = [self._runs[i]["fid"].tolist() for i in known]
        seeds = [self._runs[i]["seed"].tolist() for i in known]
        if len(known) < MODELLED:
            return None
        return ShapeSurrogate(configurations, values, seeds, self._space)

    def with_own_settings(self, schedule: Schedule) -> Configuration:
        """A foreign schedule at the hyperparameters of the best configuration here."""
        own = next((c.settings for c in self.configurations if c is not None), ())
        return Configuration(schedule, own)

    def place_of(self, schedule: Schedule | None) -> int | None:
        """Where on the board the same curve stands; the nearest one if there are several."""
        if schedule is None:
            return None
        distances = [
            math.inf if own is None else curve_distance(own, schedule) for own in self.schedules
        ]
        nearest = int(np.argmin(distances))
        return nearest if distances[nearest] <= SAME_CURVE else None


def _configuration(runs: pd.DataFrame, space: Hyperspace) -> Configuration | None:
    try:
        return configuration_of(runs.iloc[0].to_dict(), space)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Standing:
    """How a schedule stands on a model; the fields are columns of the table."""

    source: str
    configuration_on: int | None = None
    runs: int = 0
    rank: int | None = None
    fid_expected: float = math.nan
    fid_low: float = math.nan
    fid_high: float = math.nan


def _row(a: _Model, b: _Model) -> dict[str, Any]:
    winner = a.board.iloc[0]
    standing = _standing(a.schedules[0], b)
    pairs = [(i, b.place_of(schedule)) for i, schedule in enumerate(a.schedules)]
    common = [(a.expected[i], b.expected[j]) for i, j in pairs if j is not None]
    found = rank_correlation([x for x, _ in common], [y for _, y in common])
    return {
        "winner_of": a.name,
        "on": b.name,
        "configuration": winner["configuration"],
        "schedule": winner["schedule"],
        **vars(standing),
        "ranked": len(b.board),
        "best_expected": b.expected[0],
        "vanilla_expected": b.vanilla,
        "regret": standing.fid_expected - b.expected[0],
        "common": len(common),
        "correlation": found.value,
        "correlation_low": found.low,
        "correlation_high": found.high,
    }


def _standing(schedule: Schedule | None, on: _Model) -> _Standing:
    place = on.place_of(schedule)
    if place is not None:
        row = on.board.iloc[place]
        return _Standing(
            source="measured",
            configuration_on=int(row["configuration"]),
            runs=int(row["runs"]),
            rank=int(row["rank"]),
            fid_expected=float(row["fid_expected"]),
            fid_low=float(row["fid_low"]),
            fid_high=float(row["fid_high"]),
        )
    if schedule is None or on.surrogate is None:
        return _Standing("unknown")
    belief = on.surrogate.at([on.with_own_settings(schedule)])
    low, high = belief.interval(LEVEL)
    fid = float(belief.fid[0])
    return _Standing(
        source="predicted",
        rank=1 + sum(expected < fid for expected in on.expected),
        fid_expected=fid,
        fid_low=float(low[0]),
        fid_high=float(high[0]),
    )
