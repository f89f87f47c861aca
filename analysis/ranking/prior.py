"""How far earlier searches agree with what a search has measured itself."""

import math
from collections.abc import Iterator

import pandas as pd

from mollitune.analysis.tables.comparable import comparable_reports
from mollitune.analysis.tables.configurations import hyperspace_of, told
from mollitune.analysis.tables.results import Results
from mollitune.search.policy import Earlier, fitted
from mollitune.search.store import COMPARABLE_WITHIN

_COLUMNS = {
    "model": "str",
    "search": "str",
    "of": "str",
    "dataset": "str",
    "runs": "int64",
    "agreement": "float64",
}


def prior(results: Results) -> pd.DataFrame:
    """Return what a search has learned from, and how far that agrees with its own runs.

    Args:
        results: Results of a search.

    Returns:
        One row per model of the search and earlier search: ``model``, ``search``, ``of`` (the
        model there), ``dataset``, ``runs`` and ``agreement``: the correlation, from 0 to 1, of
        what a schedule does there and here, as believed; NaN before there is a complete run.
        Empty for a search without ``prior``.

    Raises:
        MollituneError: If ``search.json`` is damaged there.
    """
    rows = [
        (model, own.search, own.model, own.dataset, sum(map(len, own.values)), agreement)
        for model, earlier in results.earlier.items()
        for own, agreement in zip(earlier, _agreement(results, model, earlier), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def prior_lines(results: Results, model: str | None = None) -> Iterator[str]:
    """Yield the rows of `prior` as sentences."""
    for row in prior(results).to_dict("records"):
        if model in (None, row["model"]):
            runs = f"{row['runs']} earlier runs of {row['of']} on {row['dataset']}"
            known = "" if math.isnan(row["agreement"]) else f", agreement {row['agreement']:.2f}"
            yield f"prior: {runs} ({row['search']}){known}"


def _agreement(results: Results, model: str, earlier: tuple[Earlier, ...]) -> list[float]:
    space, ladder = hyperspace_of(results, model), results.ladder
    within = [c for c in COMPARABLE_WITHIN if ladder is None or c != "budget"]
    runs = comparable_reports(results, model)
    alike = max((own for _, own in runs.groupby(within)), key=len, default=runs)
    each = zip(*told(alike, space), strict=True)
    known = [(own, fids, seeds) for own, _, fids, seeds in each if own is not None]
    if not known:
        return [math.nan] * len(earlier)
    # as the leaderboard has it, which has just been fitted
    target = () if ladder is None or alike["scale"].nunique() == 1 else (ladder.target,)
    configurations, fids, seeds = zip(*known, strict=True)
    return fitted(configurations, fids, seeds, space, target, earlier).agreement
