"""Ranking of configurations by expected FID, where and only where the values may be compared."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from mollitune._errors import MollituneError
from mollitune.schedules import Schedule
from mollitune.search.schema import PARAMS_PREFIX

from ._schedules import schedule_of, schedule_text
from .expectation import expectations
from .results import Results

COMPARABLE_WITHIN = [
    "model",
    "dataset",
    "step",
    "extractor",
    "extractor_sha256",
    "extractor_resize",
    "ema",
    "fid_samples",
    "fid_reference",
    "fid_reference_size",
]
"""Columns in which two FID values must agree to be ranked against each other."""

_OF_A_CONFIGURATION = ("model", "configuration", "family", "step", "extractor", "fid_samples")
_OF_A_RUN = {*_OF_A_CONFIGURATION, "trial", "seed", "fid", "bpd"}
_COLUMNS = {
    "model": "str",
    "rank": "int64",
    "configuration": "int64",
    "family": "str",
    "schedule": "str",
    "runs": "int64",
    "fid_mean": "float64",
    "fid_sd": "float64",
    "fid_lowest": "float64",
    "fid_expected": "float64",
    "fid_low": "float64",
    "fid_high": "float64",
    "vanilla_mean": "float64",
    "vanilla_expected": "float64",
    "difference": "float64",
    "bpd_mean": "float64",
    "trials": "str",
    "step": "int64",
    "extractor": "str",
    "fid_samples": "int64",
}


def leaderboard(results: Results, model: str | None = None) -> pd.DataFrame:
    """Rank the configurations of a search by the FID to expect of them on a fresh seed.

    Only comparable evaluations count: full budget, clean data, finite FID. They are ranked
    among those of the same model that were measured in the same way, see `COMPARABLE_WITHIN`.
    Re-runs of the confirmation are not part of the ranking.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.

    Returns:
        One row per configuration with a complete run, sorted by model and rank: ``model``,
        ``rank`` (from 1), ``configuration``, ``family``, ``schedule`` (as text), ``runs``
        (complete ones), ``fid_mean``, ``fid_sd`` (between the runs, NaN for one), ``fid_lowest``,
        ``fid_expected`` with its 90 % interval ``fid_low`` to ``fid_high`` (see `expectations`;
        NaN where no seed was repeated yet), ``vanilla_mean`` and ``vanilla_expected`` (of the
        vanilla runs measured alike, NaN without one), ``difference`` (``fid_expected`` less
        ``vanilla_expected``, negative is better), ``bpd_mean``, ``trials`` (numbers of the runs,
        as text), ``step``, ``extractor`` and ``fid_samples``. Empty when nothing has finished.

    Raises:
        MollituneError: If the search has no such model.
    """
    rows = comparable_reports(results, model)
    groups = [group for _, group in rows.groupby(COMPARABLE_WITHIN, sort=True)]
    ranked = [row for group in groups for row in _ranked(group)]
    return pd.DataFrame(ranked, columns=list(_COLUMNS)).astype(_COLUMNS)


def comparable_reports(results: Results, model: str | None = None) -> pd.DataFrame:
    """The search's evaluations that may be ranked, without those of the confirmation.

    Raises:
        MollituneError: If the search has no such model.
    """
    table = results.tables["reports"]
    wanted = pc.and_(table["comparable"], pc.equal(table["stage"], "search"))
    if model is not None:
        both = (results.tables[name]["model"].unique() for name in ("reports", "trials"))
        known = sorted({name for names in both for name in names.to_pylist()})
        if model not in known:
            raise MollituneError(
                f"the search {results.name!r} has no model {model!r}; it has: {', '.join(known)}"
            )
        wanted = pc.and_(wanted, pc.equal(table["model"], model))
    # before the conversion: of a million evaluations few are comparable
    frame: pd.DataFrame = table.filter(wanted).to_pandas()
    return frame


def require_alike(
    results: Results,
    rows: pd.DataFrame,
    columns: Sequence[str],
    hint: str = "see the leaderboard, which keeps them apart",
) -> None:
    """Refuse to rank FIDs that were measured in different ways.

    Args:
        results: Where they come from.
        rows: Rows of ``reports``.
        columns: What must agree, of `COMPARABLE_WITHIN`.
        hint: What to do about it.

    Raises:
        MollituneError: If the rows differ in one of the columns; it says in which.
    """
    for column in columns:
        values = sorted(rows[column].unique())
        if len(values) > 1:
            shown = ", ".join(map(str, values))
            models = " and ".join(repr(name) for name in sorted(rows["model"].unique()))
            raise MollituneError(
                f"the FIDs of {models} in {results.name!r} cannot be ranked: they differ in "
                f"{column} ({shown}); {hint}"
            )


def _ranked(alike: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the leaderboard for runs that were measured alike, best first."""
    board = pd.DataFrame(_configurations(alike))
    vanilla = board["family"] == "vanilla"
    board["vanilla_mean"] = alike.loc[alike["family"] == "vanilla", "fid"].mean()
    board["vanilla_expected"] = board.loc[vanilla, "fid_expected"].mean()
    board["difference"] = board["fid_expected"] - board["vanilla_expected"]
    board["rank"] = board["fid_expected"].rank(method="min").astype("int64")
    ordered = board.sort_values(["rank", "configuration"])
    return [{str(k): v for k, v in row.items()} for row in ordered.to_dict("records")]


def _configurations(alike: pd.DataFrame) -> Iterator[dict[str, Any]]:
    # plain lists: a data frame per configuration costs milliseconds each
    needed = [c for c in alike.columns if c in _OF_A_RUN or c.startswith(PARAMS_PREFIX)]
    ordered = alike[needed].sort_values(["configuration", "trial"]).to_dict("records")
    runs = [list(own) for _, own in groupby(ordered, key=itemgetter("configuration"))]
    schedules = [_schedule(own[0]) for own in runs]
    values, seeds = ([[run[name] for run in own] for own in runs] for name in ("fid", "seed"))
    expected = expectations(schedules, values, seeds)
    each = zip(runs, schedules, values, expected, strict=True)
    for own, schedule, fids, expectation in each:
        first = own[0]
        bpds = [run["bpd"] for run in own if not math.isnan(run["bpd"])]
        yield {
            **{name: first[name] for name in _OF_A_CONFIGURATION},
            "schedule": schedule_text(first) if schedule is None else str(schedule),
            "runs": len(own),
            "fid_mean": np.mean(fids),
            "fid_sd": np.std(fids, ddof=1) if len(fids) > 1 else math.nan,
            "fid_lowest": min(fids),
            "fid_expected": expectation.fid,
            "fid_low": expectation.low,
            "fid_high": expectation.high,
            "bpd_mean": np.mean(bpds) if bpds else math.nan,
            "trials": ", ".join(str(run["trial"]) for run in own),
        }


def _schedule(run: Mapping[Hashable, Any]) -> Schedule | None:
    try:
        return schedule_of(run)
    except ValueError:
        return None
