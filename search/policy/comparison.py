"""Every policy on one recording, side by side."""

from __future__ import annotations

import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from .arms import arms_within
from .catalogue import policies
from .replay import Outcome, Recording, replay


@dataclass(frozen=True)
class Row:
    """How one policy did, the mean over random orders.

    Arguments:
        name: Name of the policy.
        regret: FID of what it recommends above the best schedule of the pool.
        error: Standard error of that over the orders; other data would add to it.
        cost: Training steps, in complete runs.
        configurations: Schedules tried.
        runs: Runs started.
        stopped: Runs stopped early.
    """

    name: str
    regret: float
    error: float
    cost: float
    configurations: float
    runs: float
    stopped: float

    @property
    def numbers(self) -> tuple[float, ...]:
        """All but the name."""
        return (
            *(self.regret, self.error, self.cost),
            *(self.configurations, self.runs, self.stopped),
        )


def compare(recording: Recording, budget: float, orders: int, side: int) -> list[Row]:
    """Replay every policy of the catalogue, on all CPUs; the lowest regret comes first.

    Args:
        recording: The curves.
        budget: Training steps of one search, in complete runs.
        orders: Random orders of the pool, >= 2.
        side: Side of the images in pixels.
    """
    known = policies(side, arms_within(len(recording.arms), budget), recording.seeds)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
        plays = [partial(replay, recording, policy, budget) for policy in known]
        found = [pool.map(play, range(orders), chunksize=10) for play in plays]
        outcomes = [list(each) for each in found]
    rows = [_row(recording, p.name, o) for p, o in zip(known, outcomes, strict=True)]
    return sorted(rows, key=lambda row: row.regret)


def _row(recording: Recording, name: str, outcomes: list[Outcome]) -> Row:
    values = recording.values
    regrets = [values[o.chosen] - min(values) for o in outcomes]
    return Row(
        name=name,
        regret=statistics.mean(regrets),
        error=statistics.stdev(regrets) / len(regrets) ** 0.5,
        cost=statistics.mean(o.cost for o in outcomes),
        configurations=statistics.mean(o.configurations for o in outcomes),
        runs=statistics.mean(o.runs for o in outcomes),
        stopped=statistics.mean(o.stopped for o in outcomes),
    )
