"""Ranking of finished trials by FID, where and only where the values may be compared."""

import pandas as pd

from mollitune._errors import MollituneError

from ._schedules import schedule_text
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

_COLUMNS = [
    "model",
    "rank",
    "trial",
    "family",
    "schedule",
    "fid",
    "vanilla_fid",
    "difference",
    "bpd",
    "seed",
    "step",
    "extractor",
    "fid_samples",
]


def leaderboard(results: Results, model: str | None = None) -> pd.DataFrame:
    """Rank the finished trials of a search by their final FID.

    Only comparable evaluations count: full budget, clean data, finite FID. They are ranked
    among those of the same model that were measured in the same way, see `COMPARABLE_WITHIN`.
    Re-runs of the confirmation are not part of the ranking.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.

    Returns:
        One row per finished trial, sorted by model and FID: ``model``, ``rank`` (from 1),
        ``trial``, ``family``, ``schedule`` (as text), ``fid``, ``vanilla_fid`` (mean over the
        vanilla trials measured alike, NaN without one), ``difference`` (FID minus that of vanilla,
        negative is better), ``bpd``, ``seed``, ``step``, ``extractor`` and ``fid_samples``.
        Empty when nothing has finished.

    Raises:
        MollituneError: If the search has no such model.
    """
    rows = comparable_reports(results, model)
    alike = [rows[column] for column in COMPARABLE_WITHIN]
    vanilla = rows["fid"].where(rows["family"] == "vanilla")
    rows["vanilla_fid"] = vanilla.groupby(alike).transform("mean")
    rows["difference"] = rows["fid"] - rows["vanilla_fid"]
    rows["rank"] = rows["fid"].groupby(alike).rank(method="min").astype("int64")
    rows["schedule"] = pd.Series(
        [schedule_text(row) for row in rows.to_dict("records")], index=rows.index, dtype="str"
    )
    rows = rows.sort_values([*COMPARABLE_WITHIN, "fid", "trial"])
    return rows[_COLUMNS].reset_index(drop=True)


def comparable_reports(results: Results, model: str | None = None) -> pd.DataFrame:
    """The search's evaluations that may be ranked, without those of the confirmation.

    Raises:
        MollituneError: If the search has no such model.
    """
    reports = results.reports
    if model is not None:
        known = sorted({*results.reports["model"], *results.trials["model"]})
        if model not in known:
            raise MollituneError(
                f"the search {results.name!r} has no model {model!r}; it has: {', '.join(known)}"
            )
        reports = reports[reports["model"] == model]
    return reports[reports["comparable"] & (reports["stage"] == "search")].copy()
