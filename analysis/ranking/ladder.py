"""Effect against budget: each arm at each budget that it had, against vanilla there."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mollitune.analysis.confirmation.paired import paired_interval
from mollitune.analysis.confirmation.runs import latest_number
from mollitune.analysis.tables.comparable import comparable_reports, minimised, require_alike
from mollitune.analysis.tables.configurations import configuration_text, parameters
from mollitune.analysis.tables.results import Results
from mollitune.search.store import COMPARABLE_WITHIN, CONFIRM_TRIALS

from .leaderboard import named, ranked

_ALIKE = [column for column in COMPARABLE_WITHIN if column not in ("model", "budget")]
_COLUMNS = {
    "model": "str",
    "budget": "int64",
    "steps": "int64",
    "arm": "str",
    "seeds": "int64",
    "fid_mean": "float64",
    "vanilla_mean": "float64",
    "pairs": "int64",
    "difference": "float64",
    "low": "float64",
    "high": "float64",
    "source": "str",
}

Key = tuple[Hashable, ...]
"""What an arm is, whatever its number: family, parameters and hyperparameters."""


class Measured(NamedTuple):
    """One arm at one budget.

    Attributes:
        model: Name of the model.
        budget: Training images.
        scale: The same as a multiple of the search's own length.
        steps: Training steps.
        key: What the arm is.
        arm: The same as short text.
        family: Its schedule family.
        until: Share of training that is mollified; NaN for vanilla.
        source: ``search`` or ``confirm``.
        trial: The run with the median value.
        values: FID by seed, or what else the search minimises.
        vanilla: The same of the baseline, whose data are never mollified; empty for itself.
    """

    model: str
    budget: int
    scale: float
    steps: int
    key: Key
    arm: str
    family: str
    until: float
    source: str
    trial: int
    values: Mapping[int, float]
    vanilla: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return math.fsum(self.values.values()) / len(self.values)

    @property
    def differences(self) -> list[float]:
        """Value minus that of the baseline for each seed that both have."""
        shared = sorted(self.values.keys() & self.vanilla.keys())
        return [self.values[seed] - self.vanilla[seed] for seed in shared]


def ladder(results: Results, model: str | None = None) -> pd.DataFrame:
    """Return what each schedule does at each budget that it was trained for.

    An arm is a schedule with its searched hyperparameters; at another budget it has another
    number. The differences are paired: from vanilla of the same budget, stage and seed. Where
    hyperparameters are searched that is the baseline of the confirmation, or in the search the
    vanilla with the lowest expected FID. What the latest confirmation has measured replaces what
    the search had of the same arm. Columns are named as on the `leaderboard`.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.

    Returns:
        One row per model, budget and arm, sorted by these, the lowest mean first: ``model``,
        ``budget`` (training images; 0 in tables from before they were told), ``steps``, ``arm``
        (as text), ``seeds`` (how many), ``fid_mean``, ``vanilla_mean`` (of the baseline, over its
        own seeds), ``pairs`` (seeds that both have), ``difference`` (over the pairs, negative is
        better; NaN for vanilla itself), ``low`` and ``high`` (its 95 % t interval; NaN for fewer
        than two pairs) and ``source`` (``confirm`` or ``search``). Empty when nothing has
        finished.

    Raises:
        MollituneError: If the search has no such model, or the values of one model and stage
            differ in more than the budget in how they were measured.
    """
    found = measured(results, model)
    confirmed = {(one.model, one.budget, one.key) for one in found if one.source == "confirm"}
    rows = [
        _row(one)
        for one in found
        if one.source == "confirm" or (one.model, one.budget, one.key) not in confirmed
    ]
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
    table = table.sort_values(["model", "budget", "fid_mean", "arm"], ignore_index=True)
    return named(table, results.objective)


def measured(results: Results, model: str | None = None) -> list[Measured]:
    """Return each arm at each budget, of the search and of the latest confirmation.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.

    Raises:
        MollituneError: As for `ladder`.
    """
    of_search = _finite(comparable_reports(results, model))  # which refuses an unknown model
    found: list[Measured] = []
    for source, rows in (("confirm", _confirmed(results, model)), ("search", of_search)):
        for name, own in rows.groupby("model", sort=True):
            require_alike(results, own, _ALIKE, hint="budgets compare only if the rest is alike")
            for _, rung in own.groupby("budget", sort=True):
                found += _rung(results, str(name), source, rung.sort_values("trial"))
    return found


def several_budgets(results: Results, model: str) -> bool:
    """Whether anything of a model was trained to its end at more than one budget."""

    def wanted(table: pa.Table) -> pa.ChunkedArray:
        return pc.and_(table["comparable"], pc.equal(table["model"], model))

    rows = results.tables.rows["reports"].where(wanted)
    return len(pc.unique(rows["budget"])) > 1


def _confirmed(results: Results, model: str | None) -> pd.DataFrame:
    """Comparable rows of the latest confirmation."""
    number = latest_number(results) or -1
    first, last = number * CONFIRM_TRIALS, (number + 1) * CONFIRM_TRIALS - 1

    def wanted(table: pa.Table) -> pa.ChunkedArray:
        trial = table["trial"]
        own = pc.and_(pc.greater_equal(trial, first), pc.less_equal(trial, last))
        own = pc.and_(own, table["comparable"])
        return own if model is None else pc.and_(own, pc.equal(table["model"], model))

    frame: pd.DataFrame = results.tables.rows["reports"].where(wanted).to_pandas()
    return _finite(minimised(frame, results.objective))


def _finite(rows: pd.DataFrame) -> pd.DataFrame:
    finite: pd.DataFrame = rows[np.isfinite(rows["fid"])]
    return finite


def _rung(results: Results, model: str, source: str, rows: pd.DataFrame) -> Iterator[Measured]:
    """Yield the arms of one budget; the rows are in the order of their trials."""
    firsts = rows.drop_duplicates("configuration").to_dict("records")
    keys = {int(first["configuration"]): _key(first) for first in firsts}
    arms = {keys[int(first["configuration"])]: first for first in reversed(firsts)}
    of_arm = rows["configuration"].map(keys)
    runs = {key: rows[of_arm == key] for key in arms}
    values = {key: _by_seed(own) for key, own in runs.items()}
    plain = [key for key in dict.fromkeys(keys.values()) if key[0] == "vanilla"]
    base = plain[0] if plain else None  # a confirmation begins with its baseline
    if len(plain) > 1 and source == "search":
        expected = ranked(results, model).set_index("configuration")["fid_expected"]
        number = min((n for n, key in keys.items() if key in plain), key=lambda n: expected[n])
        base = keys[number]
    for key, first in arms.items():
        own = runs[key].sort_values(["fid", "trial"])
        yield Measured(
            model=model,
            budget=int(first["budget"]),
            scale=float(first["scale"]),
            steps=int(first["step"]),
            key=key,
            arm=configuration_text(first),
            family=str(first["family"]),
            until=float(first.get("params.until", math.nan)),
            source=source,
            trial=int(own["trial"].iloc[(len(own) - 1) // 2]),
            values=values[key],
            vanilla={} if base is None or key == base else values[base],
        )


def _key(row: Mapping[Hashable, Any]) -> Key:
    params, settings = parameters(row)
    return (row["family"], tuple(sorted(params.items())), tuple(sorted(settings.items())))


def _by_seed(runs: pd.DataFrame) -> dict[int, float]:
    means = runs.groupby("seed", as_index=False)["fid"].mean()
    return dict(zip(means["seed"].tolist(), means["fid"].tolist(), strict=True))


def _row(one: Measured) -> tuple[Any, ...]:
    differences = one.differences
    interval = paired_interval(differences)
    return (
        *(one.model, one.budget, one.steps, one.arm, len(one.values), one.mean),
        _mean(one.vanilla.values()),
        *(len(differences), _mean(differences)),
        *((math.nan, math.nan) if interval is None else interval[1:]),
        one.source,
    )


def _mean(values: Collection[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def target_of(results: Results, found: Sequence[Measured]) -> float | None:
    """Return the training images of production, where the config names a longer one.

    Args:
        results: Results of the search.
        found: What was measured of one model.

    Returns:
        The images; None where the longest budget of the search is what is looked for.
    """
    known = results.ladder
    if known is None or not found or known.target <= known.scales[-1]:
        return None
    return known.target * found[0].budget / found[0].scale
