"""Two schedules of one model, compared run by run over the seeds that both have."""

import math
from collections.abc import Iterator, Sequence
from operator import index
from typing import Any

import numpy as np
import pandas as pd

from mollitune._errors import MollituneError
from mollitune.analysis.confirmation.paired import paired_interval
from mollitune.analysis.tables.comparable import (
    comparable_reports,
    longest,
    minimised,
    require_alike,
)
from mollitune.analysis.tables.configurations import configuration_text
from mollitune.analysis.tables.results import Results
from mollitune.search.store import COMPARABLE_WITHIN

from .expectation import LEVEL
from .leaderboard import named, ranked

_FEWEST = 2  # seeds in common: one tells nothing of the spread
_STAGES = ("search", "confirm")
_MEASURED = {
    "step": "int64",
    "extractor": "str",
    "fid_samples": "int64",
    "fid_reference": "str",
}
_PAIRS = {
    "stage": "str",
    "seed": "int64",
    "fid_one": "float64",
    "fid_other": "float64",
    "difference": "float64",
    **_MEASURED,
}
_COLUMNS = {
    "stage": "str",
    "model": "str",
    "one": "int64",
    "schedule_one": "str",
    "other": "int64",
    "schedule_other": "str",
    "seeds": "int64",
    "fid_one": "float64",
    "fid_other": "float64",
    "difference": "float64",
    "error": "float64",
    "low": "float64",
    "high": "float64",
    **_MEASURED,
}


def compare(
    results: Results, one: int | str, other: int | str = "vanilla", model: str | None = None
) -> pd.DataFrame:
    """Compare two configurations over the seeds that both were trained with.

    Runs of one seed share initial weights and batches, so what a seed does to both cancels. Seeds
    of the search and of a confirmation stand apart, and so do FIDs that were measured in different
    ways, see `COMPARABLE_WITHIN`. On the seeds of the search a schedule that was chosen for its
    FID there looks better than it is; fresh seeds do not flatter it.

    Args:
        results: Results of a search.
        one: Number of a configuration, or a family for its configuration with the lowest expected
            FID.
        other: What it is compared with, likewise.
        model: The model; not needed where a number implies it or the search has only one.

    Returns:
        One row per stage and way of measuring in which both have a seed: ``stage`` (search or
        confirm), ``model``, ``one`` and ``other`` (numbers of the configurations) each with its
        schedule as text, ``seeds`` (how many in common), ``fid_one`` and ``fid_other`` (means over
        these), ``difference`` (mean of one minus other, negative: one is better), ``error`` (its
        standard error), its two-sided 90 % t interval ``low`` to ``high`` (NaN for a single
        seed), ``step`` (of one), ``extractor``, ``fid_samples`` and
        ``fid_reference``.

    Raises:
        MollituneError: If the search has no such model, configuration or family, both are the
            same or of different models, or there are nowhere two seeds in common.
    """
    first, second = _both(results, one, other, model)
    groups = list(_alike(results, first, second))
    if max((len(pairs) for pairs in groups), default=0) < _FEWEST:
        raise MollituneError(
            f"configurations {first} and {second} of {results.name!r} have fewer than {_FEWEST} "
            "seeds in common: search with a higher stopping.max_seeds, or confirm them"
        )
    texts = {number: _text(results, number) for number in (first, second)}
    rows = [
        {
            "one": first,
            "schedule_one": texts[first],
            "other": second,
            "schedule_other": texts[second],
            "seeds": len(pairs),
            **pairs[["fid_one", "fid_other", "difference"]].mean().to_dict(),
            **_interval(pairs["difference"].tolist()),
            **{name: pairs[name].iloc[0] for name in ("stage", "model", *_MEASURED)},
        }
        for pairs in groups
    ]
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
    return named(table, results.objective)


def paired_fids(
    results: Results, one: int | str, other: int | str = "vanilla", model: str | None = None
) -> pd.DataFrame:
    """List the FIDs behind `compare`, one row per seed that both configurations have.

    Args:
        results: Results of a search.
        one: As for `compare`.
        other: As for `compare`.
        model: As for `compare`.

    Returns:
        Columns ``stage``, ``seed``, ``fid_one``, ``fid_other``, ``difference``, ``step``,
        ``extractor``, ``fid_samples`` and ``fid_reference``, those of the search first. Empty
        without a seed in common.

    Raises:
        MollituneError: As for `compare`, but not for too few seeds.
    """
    groups = list(_alike(results, *_both(results, one, other, model)))
    rows = [row for pairs in groups for row in pairs[list(_PAIRS)].to_dict("records")]
    return named(pd.DataFrame(rows, columns=list(_PAIRS)).astype(_PAIRS), results.objective)


def _both(
    results: Results, one: int | str, other: int | str, model: str | None
) -> tuple[int, int]:
    numbers = [index(which) for which in (one, other) if not isinstance(which, str)]
    if model is None and len(numbers) == 1:  # the family is meant on the model of the other
        model = str(_row(results, numbers[0], None)["model"])
    runs = comparable_reports(results, model)  # refuses a model that is not there
    first, second = (_configuration(results, which, runs, model) for which in (one, other))
    if first == second:
        raise MollituneError(
            f"{one!r} and {other!r} are the same configuration {first} of {results.name!r}; "
            "name two different ones"
        )
    models = [_row(results, number, model)["model"] for number in (first, second)]
    if models[0] != models[1]:
        raise MollituneError(
            f"configurations {first} and {second} of {results.name!r} are of different models, "
            f"{models[0]} and {models[1]}; compare schedules of one model"
        )
    return first, second


def _configuration(
    results: Results, which: int | str, runs: pd.DataFrame, model: str | None
) -> int:
    if not isinstance(which, str):
        number = index(which)
        _row(results, number, model)
        return number
    own = longest(runs[runs["family"] == which])
    if own.empty:
        known = ", ".join(sorted(runs["family"].unique())) or "none yet"
        raise MollituneError(
            f"no complete run of the family {which!r} in {results.name!r}; there are: {known}"
        )
    models = sorted(own["model"].unique())
    if len(models) > 1:
        raise MollituneError(
            f"the family {which!r} was tried on several models of {results.name!r}: "
            f"{', '.join(models)}; name the model"
        )
    require_alike(results, own, COMPARABLE_WITHIN)
    board = ranked(results, models[0])
    return int(board[board["configuration"].isin(own["configuration"])]["configuration"].iloc[0])


def _row(results: Results, number: int, model: str | None) -> dict[Any, Any]:
    """A row of a configuration, from whichever table has it already."""
    for table in (results.trials, results.reports):
        own = table[table["configuration"] == number]
        if not own.empty:
            row = own.iloc[0].to_dict()
            if model is not None and row["model"] != model:
                raise MollituneError(
                    f"configuration {number} of {results.name!r} is of model {row['model']}, not "
                    f"of {model}"
                )
            return row
    raise MollituneError(
        f"the search {results.name!r} has no configuration {number}; see its leaderboard"
    )


def _text(results: Results, number: int) -> str:
    return configuration_text(_row(results, number, None))


def _alike(results: Results, one: int, other: int) -> Iterator[pd.DataFrame]:
    """Pairs of FIDs by seed, for each stage and way of measuring that has one."""
    reports = minimised(results.reports, results.objective)
    runs = reports[reports["comparable"] & reports["configuration"].isin((one, other))]
    for stage in _STAGES:
        of_stage = runs[runs["stage"] == stage]
        for _, group in of_stage.groupby(COMPARABLE_WITHIN, sort=True):
            fids = group.pivot_table("fid", "seed", "configuration").reindex(columns=[one, other])
            pairs = fids.set_axis(["fid_one", "fid_other"], axis=1).dropna().reset_index()
            if not pairs.empty:
                pairs["difference"] = pairs["fid_one"] - pairs["fid_other"]
                own = group[group["configuration"] == one]
                shared = {
                    name: own[name].iloc[0] for name in ("stage", "step", *COMPARABLE_WITHIN)
                }
                yield pairs.assign(**shared)


def _interval(differences: Sequence[float]) -> dict[str, float]:
    interval = paired_interval(differences, level=LEVEL)
    if interval is None:
        return dict.fromkeys(("error", "low", "high"), math.nan)
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    return {"error": error, "low": interval.low, "high": interval.high}
