"""The table at the end of a search."""

import pandas as pd

from mollitune._errors import MollituneError
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import fid_text, interval_text
from mollitune.schedules import Schedule

from .best import Best, best

_COLUMNS = ("model", "best schedule", "expected {}", "vanilla", "difference", "runs")


def summary(results: Results) -> pd.DataFrame:
    """Sum up what a search recommends for each model, as text that fits a terminal.

    Args:
        results: Results of a search.

    Returns:
        One row per model, in the order of their first trials: ``model``, ``best schedule`` (its
        family and the share of the training that it mollifies; the file of `export_best` has all
        parameters), ``expected FID`` with its 90 % interval (without one where no seed was
        repeated), ``vanilla`` (its expected FID), ``difference`` (negative: better than vanilla)
        and ``runs`` (complete ones of the best schedule). What is not known is empty; a model
        without a recommendation has no more than its name.
    """
    models = dict.fromkeys([*results.trials["model"], *results.reports["model"]])
    rows = [_row(results, str(model)) for model in models]
    return pd.DataFrame(rows, columns=_columns(results), dtype="str")


def _columns(results: Results) -> list[str]:
    return [name.format(results.objective.title) for name in _COLUMNS]


def _row(results: Results, model: str) -> dict[str, str]:
    row = dict.fromkeys(_columns(results), "") | {"model": model}
    try:
        found = best(results, model)
    except MollituneError:  # nothing has finished, or what has cannot be ranked
        return row
    vanilla = found.vanilla_expected
    return row | {
        "best schedule": _short(found.schedule),
        f"expected {found.metric}": _expected(found),
        "vanilla": "" if vanilla is None else fid_text(vanilla),
        "difference": ""
        if vanilla is None or found.is_vanilla
        else fid_text(found.fid_expected - vanilla, signed=True),
        "runs": str(found.runs),
    }


def _short(schedule: Schedule) -> str:
    share = f" until {schedule.until:.0%}"
    return schedule.family + share * (schedule.until > 0)


def _expected(found: Best) -> str:
    value = fid_text(found.fid_expected)
    if found.fid_low is None or found.fid_high is None:
        return value
    return f"{value} ({interval_text(found.fid_low, found.fid_high)})"
