"""What the runs of a confirmation show in the metrics that do not decide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from mollitune.analysis.tables.results import Results
from mollitune.search.store import Objective, better_of

from .paired import paired_interval

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
