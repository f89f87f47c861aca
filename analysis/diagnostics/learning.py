"""How training went: every evaluation of every run, as a table and as a figure."""

from collections.abc import Iterable
from operator import index

import pandas as pd

from mollitune._errors import MollituneError
from mollitune.analysis.tables.comparable import comparable_reports
from mollitune.analysis.tables.configurations import configuration_text
from mollitune.analysis.tables.results import Results

_COLUMNS = [
    "model",
    "trial",
    "configuration",
    "schedule",
    "seed",
    "stage",
    "step",
    "progress",
    "phase",
    "comparable",
    "fid",
    "bpd",
    "train_loss",
]


def learning_curves(
    results: Results, model: str | None = None, trials: Iterable[int] | None = None
) -> pd.DataFrame:
    """List the evaluations of runs, finished or not, in the order of training.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.
        trials: Only the runs of these numbers; all of them by default.

    Returns:
        One row per evaluation, sorted by model, trial and step: ``model``, ``trial``,
        ``configuration``, ``schedule`` (as text), ``seed``, ``stage`` (search or confirm),
        ``step``, ``progress`` (share of the training that is done), ``phase`` (mollified or
        clean), ``comparable`` (whether its FID may be ranked), ``fid``, ``bpd`` (bits per
        dimension) and ``train_loss``. Empty before the first evaluation.

    Raises:
        MollituneError: If the search has no such model or trial.
    """
    rows = evaluations(results, model, trials).sort_values(["model", "trial", "step"])
    first = rows.drop_duplicates("configuration").to_dict("records")
    texts = {row["configuration"]: configuration_text(row) for row in first}
    schedules = rows["configuration"].map(texts).astype("str")
    return rows.assign(schedule=schedules)[_COLUMNS].reset_index(drop=True)


def evaluations(results: Results, model: str | None, trials: Iterable[int] | None) -> pd.DataFrame:
    """Return the evaluations of runs, see `learning_curves` for arguments and errors."""
    if model is not None:
        comparable_reports(results, model)  # refuses a model that is not there
    rows = results.reports[(results.reports["model"] == model) | (model is None)]
    return rows if trials is None else rows[rows["trial"].isin(_known(results, model, trials))]


def _known(results: Results, model: str | None, trials: Iterable[int]) -> set[int]:
    """The numbers that are asked for, if all of them are runs of the model."""
    wanted = {index(trial) for trial in trials}
    tables = (results.trials, results.reports)
    known = {
        int(trial)
        for table in tables
        for trial in table.loc[(table["model"] == model) | (model is None), "trial"]
    }
    missing = sorted(wanted - known)
    if missing:
        of_model = "" if model is None else f" of {model}"
        raise MollituneError(
            f"the search {results.name!r} has no trial {missing[0]}{of_model}; see its trials"
        )
    return wanted
