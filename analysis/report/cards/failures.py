"""The card with what went wrong: on top of the page where something failed."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from mollitune.analysis.report.data import failures
from mollitune.analysis.report.html import Cell, card, details, small, table, trial_button
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import run_name

_SHOWN = 5
_HEAD = [
    Cell("run", number=True),
    Cell("error"),
    Cell("schedule"),
    Cell("status"),
    Cell("step", number=True),
    Cell("not finite", number=True),
]


def failed_models(results: Results) -> list[str]:
    """Names of the models of which a run failed, sorted."""
    trials = results.trials
    return sorted(trials.loc[trials["status"] == "failed", "model"].unique())


def failures_card(results: Results, models: Sequence[str]) -> Markup:
    """Runs that failed or were interrupted, and those with losses or samples not finite.

    Args:
        results: Results of a search.
        models: The models to show.
    """
    rows = pd.concat([failures(results, model).assign(model=model) for model in models])
    if rows.empty:
        return card("Failures", "No failures; all losses and samples were finite.")
    body = [("", _cells(row)) for row in rows.to_dict("records")]
    tables = [table("Failures", _HEAD, body[:_SHOWN])]
    if len(body) > _SHOWN:
        more = table("More failures", _HEAD, body[_SHOWN:])
        tables.append(details(f"{len(body) - _SHOWN} more", more))
    failed = int((rows["status"] == "failed").sum())
    if not failed:
        note = "Runs that were interrupted, or had losses or samples that are not finite."
        return card("Failures", note, *tables)
    every = len(results.trials)
    title = "All runs failed" if failed == every else f"{failed} of {every} runs failed"
    return card(title, "The FID of a failed run does not count.", *tables, kind="failed")


def _cells(row: Mapping[Hashable, Any]) -> list[Cell]:
    number = int(row["trial"])
    return [
        Cell(trial_button(number, run_name(number).removeprefix("trial ")), number=True),
        Cell(_error("" if pd.isna(row["error"]) else str(row["error"])), kind="wide"),
        Cell(small(row["text"], row["model"]), kind="wide"),
        Cell(row["status"]),
        Cell(f"{row['step']:,} of {row['steps']:,}", number=True),
        Cell(str(row["non_finite"]), number=True),
    ]


def _error(text: str) -> str:
    """The line that says what happened; a traceback is folded below it."""
    lines = text.strip().splitlines()
    if len(lines) < 2:
        return text
    said = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return details(said, Markup("<pre>{}</pre>").format(text.strip()))
