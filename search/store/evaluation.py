"""What an evaluation of a trial holds: each metric is declared here, once, and nowhere else.

Row, schema, record, loggers and docs/tables.md follow. A field of `Evaluation` with a `Measure`
is a column of ``reports`` in every search. Metrics of ``fid.extra`` stand in ``extras``: those of
`OPTIONAL` have a column in every search, any other has one, `EXTRA_PREFIX` and its name, where it
is asked for.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, get_args, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .columns import FLOAT, INT, STRING, Metric, told_better

EXTRA_PREFIX = "extra."
"""Start of the name of each column that holds a metric of ``fid.extra`` outside `OPTIONAL`."""


@dataclass(frozen=True)
class Measure:
    """What is told of a field of `Evaluation`; see `Metric`, which name and type are added to."""

    description: str
    nullable: bool = False
    values: tuple[str, ...] = ()
    unit: str = ""
    better: Literal["lower", "higher"] | None = None
    logged: bool = True


@dataclass(frozen=True)
class Evaluation:
    """What is known of a trial after some steps.

    Three fields are no columns: ``extras``, which are columns of their own by their names,
    ``samples`` for a picture, and ``failure``, why the trial cannot go on, if so.
    """

    step: Annotated[int, Measure("training steps done", logged=False)]
    progress: Annotated[
        float, Measure("share of the training budget that is done, in [0, 1]", logged=False)
    ]
    level: Annotated[
        float, Measure("mollification at this step: noise variance, for blur the sigma in px")
    ]
    phase: Annotated[
        str,
        Measure(
            "whether the training data was still mollified at this step",
            values=("mollified", "clean"),
            logged=False,
        ),
    ]
    fid: Annotated[
        float,
        Measure(
            "FID of the samples against the clean reference; at full budget this and the other "
            "metrics are means over the evaluations that fid_final names",
            True,
            better="lower",
        ),
    ]
    step_fid: Annotated[
        float,
        Measure("FID of this evaluation by itself, also at full budget", True, logged=False),
    ]
    probe_fid: Annotated[
        float | None,
        Measure(
            "FID after a cooldown branch from this step, which was then thrown away; never "
            "comparable; NaN if the branch diverged"
        ),
    ]
    probe_steps: Annotated[
        int, Measure("training steps of that branch; 0 without one", logged=False)
    ]
    bpd: Annotated[
        float, Measure("bits per dimension of clean held-out data", True, better="lower")
    ]
    nll: Annotated[
        float,
        Measure(
            "negative log-likelihood of a clean held-out image (its bytes) or row of a table, or "
            "a bound from above",
            True,
            unit="nats",
            better="lower",
        ),
    ]
    train_bpd: Annotated[
        float | None,
        Measure(
            "bits per dimension of as many clean training images, at full budget; what bpd has "
            "more is overfitting"
        ),
    ]
    train_loss: Annotated[float, Measure("mean training loss since the last evaluation", True)]
    non_finite_losses: Annotated[
        int, Measure("steps so far that were skipped: loss or gradient not finite")
    ]
    non_finite_samples: Annotated[
        int, Measure("samples in all evaluations so far that were not finite")
    ]
    step_seconds: Annotated[
        float, Measure("mean wall time of a training step since the last evaluation", unit="s")
    ]
    eval_seconds: Annotated[
        float, Measure("wall time of this evaluation without its branch", unit="s")
    ]
    samples: npt.NDArray[np.uint8]
    extras: dict[str, float] = field(default_factory=dict)
    failure: str | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """What is averaged over the end of a training, by column."""
        own = {name: getattr(self, name) for name, found in MEASURED.items() if found.better}
        return own | self.extras

    def row(self) -> dict[str, Any]:
        """Return all but the samples as plain values by column, and ``failure``."""
        own = {name: getattr(self, name) for name in MEASURED}
        return {**own, **dict.fromkeys(OPTIONAL), **self.extras, "failure": self.failure}


def averaged(last: Evaluation, metrics: Sequence[Mapping[str, float]]) -> Evaluation:
    """Return an evaluation with means over several in place of its metrics.

    A metric that was not finite in one of them is not finite here either; one that is measured at
    the end alone stays as it is.

    Args:
        last: The evaluation at the end of a training.
        metrics: What is averaged, see `Evaluation.metrics`; at least one.
    """
    means: dict[str, Any] = {}
    for name in last.metrics:
        values = [own[name] for own in metrics if name in own]
        means[name] = sum(values) / len(values)
    extras = {name: means.pop(name) for name in last.extras}
    return replace(last, **means, extras=extras)


def _metrics() -> dict[str, Metric]:
    hints = get_type_hints(Evaluation, include_extras=True)
    return {
        name: _metric(name, get_args(hint)[0], measure)
        for name, hint in hints.items()
        for measure in getattr(hint, "__metadata__", ())
    }


def _metric(name: str, kind: Any, measure: Measure) -> Metric:
    optional = isinstance(kind, types.UnionType)
    plain = get_args(kind)[0] if optional else kind
    arrow = {int: INT, float: FLOAT, str: STRING}[plain]
    return Metric(name, arrow, **{**vars(measure), "nullable": measure.nullable or optional})


MEASURED: dict[str, Metric] = _metrics()
"""What every evaluation measures, by name."""
OPTIONAL: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "kid", FLOAT, "kernel Inception distance, if asked for", nullable=True, better="lower"
        ),
        Metric(
            "precision",
            FLOAT,
            "share of samples near real images, if asked for",
            True,
            better="higher",
        ),
        Metric(
            "recall",
            FLOAT,
            "share of real images near samples, if asked for",
            True,
            better="higher",
        ),
        Metric(
            "fid_infinity",
            FLOAT,
            "FID extrapolated to infinitely many samples, if asked for",
            True,
            better="lower",
        ),
    )
}
"""Metrics of ``fid.extra`` whose columns every search has, by name."""


def extra_metric(
    name: str, description: str, unit: str = "", better: Literal["lower", "higher"] | None = None
) -> Metric:
    """Return a metric of ``fid.extra`` with a column, ``extra.NAME``, where it is asked for."""
    return Metric(EXTRA_PREFIX + name, FLOAT, description, nullable=True, unit=unit, better=better)


def better_of(field: pa.Field) -> Literal["lower", "higher"] | None:
    """Return whether lower or higher values of a column are better; None: neither.

    A metric of ``fid.extra`` is declared where it is measured; a table that has it says so.

    Args:
        field: A column of ``reports``, as it stands in a table.
    """
    known = {**MEASURED, **OPTIONAL}.get(field.name)
    if known is not None:
        return known.better
    return told_better(field) if field.name.startswith(EXTRA_PREFIX) else None


def measured(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the columns of ``reports`` hold of a result, of `Evaluation.row` or a record.

    What an older record does not know is None.
    """
    metrics = {**MEASURED, **OPTIONAL}
    known = [name for name, own in metrics.items() if name in result or own.nullable]
    own = [name for name in result if name.startswith(EXTRA_PREFIX)]
    return {name: result.get(name) for name in (*known, *own)}


def is_logged(name: str) -> bool:
    """Return whether loggers get a metric, by its column."""
    return name not in MEASURED or MEASURED[name].logged
