"""What the runs of a confirmation show in the metrics that do not decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import plus_minus
from mollitune.search.store import Objective, better_of

from .paired import LEVEL, paired_interval

if TYPE_CHECKING:
    from .arms import Arm

_SAME = {"bpd": "nll", "nll": "bpd"}
"""Two units of one number: the one that is not minimised is left out."""

Values = Mapping[str, Mapping[int, float]]
"""Values of the other metrics by column and seed."""


class Measure(NamedTuple):
    """What an arm shows in a metric that does not decide; lower is better.

    Attributes:
        mean: Mean over its runs.
        seeds: Paired seeds behind the difference.
        difference: Mean difference from the baseline on the same seeds; None without any.
        low: Lower end of its 95 % interval, which holds by itself; None for fewer than two seeds.
        high: Upper end.
    """

    mean: float
    seeds: int
    difference: float | None
    low: float | None
    high: float | None


def other_metrics(results: Results) -> dict[str, Objective]:
    """Return the metrics that a search does not minimise and that know a direction, by column."""
    own = results.objective.column
    schema = results.tables.rows["reports"].schema
    left_out = {own, _SAME.get(own, "nll")}
    better = {field.name: better_of(field) for field in schema if field.name not in left_out}
    return {
        name: Objective(name, direction == "higher")
        for name, direction in better.items()
        if direction is not None
    }


def values_of(
    rows: pd.DataFrame, metrics: Mapping[str, Objective]
) -> dict[int, dict[str, dict[int, float]]]:
    """Return the other metrics of comparable evaluations, by configuration, column and seed.

    Args:
        rows: Rows of ``reports``, as `minimised` returns them.
        metrics: As `other_metrics` returns them.
    """
    found: dict[int, dict[str, dict[int, float]]] = {}
    for row in rows.to_dict("records"):
        values = {str(name): value for name, value in row.items()}
        own = found.setdefault(int(row["configuration"]), {})
        for name, metric in metrics.items():
            value = metric.of({**values, "fid": values.get("measured_fid", values["fid"])})
            if value is not None:
                own.setdefault(name, {})[int(row["seed"])] = value
    return found


def measures(values: Values, baseline: Values) -> dict[str, Measure]:
    """Return what an arm shows in each metric, by column.

    Args:
        values: Its values.
        baseline: Those of the vanilla that it is compared with.
    """
    found = {}
    for name, own in values.items():
        base = baseline.get(name, {})
        pairs = [own[seed] - base[seed] for seed in sorted(own.keys() & base.keys())]
        interval = paired_interval(pairs)
        found[name] = Measure(
            math.fsum(own.values()) / len(own),
            len(pairs),
            math.fsum(pairs) / len(pairs) if pairs else None,
            None if interval is None else interval.low,
            None if interval is None else interval.high,
        )
    return found


def by_other_metrics(arm: Arm, metrics: Mapping[str, Objective]) -> str:
    """Say in one sentence what the other metrics make of an arm; empty where they say nothing.

    Args:
        arm: An arm that is no vanilla.
        metrics: As `other_metrics` returns them.
    """
    said: dict[str, list[str]] = {"better": [], "worse": [], "undecided": []}
    for name, metric in metrics.items():
        own = arm.measures.get(name)
        if own is None or own.difference is None or own.low is None or own.high is None:
            continue
        word = "better" if own.high < 0 else "worse" if own.low > 0 else "undecided"
        shown = plus_minus(own.difference, (own.high - own.low) / 2)
        said[word].append(f"{metric.title} ({shown})")
    parts = [f"{word} in {_listed(names)}" for word, names in said.items() if names]
    if not parts:
        return ""
    against = arm.high is not None and arm.high < 0 and said["worse"]
    warning = "Not all metrics agree. " if against else ""
    level = f"{100 * LEVEL:.3g} %"
    return f"{warning}{arm.text} by other metrics, each with {level}: {'; '.join(parts)}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
