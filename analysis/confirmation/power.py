"""How many seeds a confirmation needs, said before it begins."""

from __future__ import annotations

import math
from itertools import combinations

import pandas as pd

from mollitune.analysis.tables.comparable import comparable_reports
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import fid_text
from mollitune.search.store import COMPARABLE_WITHIN

from .judgement import kept_level
from .paired import detectable, seeds_needed

POWER = 0.8
_FEWEST = 3  # degrees of freedom below which a standard deviation says nothing


def paired_noise(results: Results, model: str) -> float | None:
    """Return the standard deviation of the FID difference of two schedules between seeds.

    It is pooled over all pairs of configurations of a search that share at least two seeds.

    Args:
        results: Results of a search.
        model: Name of the model.

    Returns:
        The standard deviation in FID; None if the search has repeated too few seeds.

    Raises:
        MollituneError: If the search has no such model.
    """
    squares, freedom = 0.0, 0
    for _, alike in comparable_reports(results, model).groupby(COMPARABLE_WITHIN):
        by_seed = alike.pivot_table(index="seed", columns="configuration", values="fid")
        repeated = by_seed.loc[:, by_seed.notna().sum() > 1]
        for one, other in combinations(repeated.columns, 2):
            gaps: pd.Series = (repeated[one] - repeated[other]).dropna()
            if len(gaps) > 1:
                squares += float(((gaps - gaps.mean()) ** 2).sum())
                freedom += len(gaps) - 1
    return math.sqrt(squares / freedom) if freedom >= _FEWEST else None


def power_sentence(
    results: Results, model: str, comparisons: int, seeds: int, level: float
) -> str:
    """Say which difference from vanilla a confirmation can detect, and what a smaller one takes.

    Args:
        results: Results of the search.
        model: Name of the model.
        comparisons: Schedules that are compared with vanilla.
        seeds: Seeds per schedule.
        level: Probability that all intervals hold at once.
    """
    sd = paired_noise(results, model)
    if sd is None:
        return (
            f"{model}: the search repeated too few seeds to tell in advance which differences "
            f"{seeds} seeds can detect"
        )
    level, metric = kept_level(level), results.objective.title
    gap = detectable(sd, seeds, comparisons, level, POWER)
    if gap is None:
        return f"{model}: it takes two seeds to detect any difference"
    needed = seeds_needed(gap / 2, sd, comparisons, level, POWER)
    return (
        f"{model}: with {seeds} seeds there is an {100 * POWER:.0f} % chance to detect a true "
        f"difference from vanilla of {fid_text(gap)} {metric}; half of that takes {needed} seeds "
        f"(between seeds, differences of the schedules that the search repeated vary by "
        f"{fid_text(sd)} {metric}; those from vanilla may vary more)"
    )
