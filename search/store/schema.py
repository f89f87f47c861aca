"""The result tables: every column, its type and its meaning, in one place.

A search writes three Parquet tables below its folder. ``reports`` has a row per evaluation,
``decisions`` a row per decision of the search policy, ``trials`` a row per trial. Each family of
schedules brings parameters of its own, so ``reports`` and ``trials`` also have one nullable
column ``params.NAME`` for each parameter of the search, hyperparameters included. What is measured
is declared in `evaluation`. This module needs only PyArrow and NumPy.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from .columns import BOOL, FLOAT, INT, STRING, TIME, Column, Metric
from .evaluation import MEASURED, OPTIONAL, extra_metric

SCHEMA_VERSION = 6
"""Version of the tables; a reader refuses files that are newer than itself."""
VERSION_KEY = b"mollitune.schema_version"
"""Key of the version in the key-value metadata of each Parquet file."""
METADATA_FORMAT = "mollitune.search"
"""Value of ``format`` in ``search.json``."""
METADATA_FILE = "search.json"
"""Name of the file with a search's provenance, beside the tables."""
TRIALS_FILE = "trials/trials.parquet"
"""Path of the one file of the trials table; the other tables are folders of part files."""
CONFIRM_TRIALS = 1_000_000
"""The trials of confirmation n = 1, 2, ... are numbered from n times this.

A search has fewer trials, so the number of a trial alone tells which confirmation it belongs to.
"""
TABLES = ("reports", "decisions", "trials")
"""Names of the tables and of their folders."""
PARAMS_PREFIX = "params."
"""Start of the name of each column that holds a parameter: of the schedule, or a setting."""
SHAPE_PREFIX = "shape."
"""Start of the name of each column that holds a feature of the schedule's curve."""
KEYS: dict[str, tuple[str, ...]] = {
    "reports": ("search", "trial", "step"),
    "decisions": ("search", "trial", "step", "rung"),
    "trials": ("search", "trial"),
}
"""Columns that identify a row: a later row with the same key replaces the earlier one."""

_PART = re.compile(r"part-[0-9]{8,}-[0-9]{8,}-[0-9a-f]+\.parquet")

_SEARCH = Column("search", STRING, "name of the search")
_TRIAL = Column(
    "trial", INT, "number of the trial, from 0; in confirmation n from n times 1,000,000"
)
_CONFIGURATION = Column(
    "configuration",
    INT,
    "number of model, schedule and hyperparameters; trials of one configuration differ in the "
    "seed alone",
)
_STEP, _PROGRESS, _PHASE = (MEASURED[name] for name in ("step", "progress", "phase"))
_TIMESTAMP = Column("time", TIME, "when the row was made")
_SAME_START = (
    _SEARCH,
    _TRIAL,
    _CONFIGURATION,
    Column("attempt", INT, "how often the trial was started; grows by 1 after each crash"),
    Column("seed", INT, "seed of the initial weights, the batches and the noise"),
    Column("stage", STRING, "search, or confirm for a re-run", values=("search", "confirm")),
    Column("model", STRING, "name of the generative model"),
    Column("dataset", STRING, "name of the data set"),
    Column("family", STRING, "family of the mollification schedule; vanilla for none"),
    Column(
        "budget",
        INT,
        "training images of the full budget, the same for all trials of a model at one scale; 0 "
        "in tables from before version 4",
    ),
    Column(
        "scale",
        FLOAT,
        "the full budget as a multiple of the length that the config gives; 1 unless a search or "
        "a confirmation has several budgets",
    ),
)

_COMPARABLE = Column(
    "comparable",
    BOOL,
    "true only at full budget, on clean data and with a finite FID; only such values of one "
    "model and one extractor may be ranked against each other",
)
_HOW_FID = (
    Column("extractor", STRING, "network whose features the FID compares"),
    Column("extractor_sha256", STRING, "SHA-256 of the extractor's weights"),
    Column("extractor_resize", STRING, "what the extractor does to the size of an image"),
    Column("fid_samples", INT, "number of samples behind the FID"),
    Column(
        "fid_final",
        STRING,
        "what the metrics are at full budget: last, or such as mean of 3 in the last 10 % of "
        "training (evaluations on clean data)",
    ),
    Column(
        "ema",
        FLOAT,
        "half-life of the averaged weights that were evaluated, as a share of the training; "
        "0: the last weights themselves",
    ),
    Column("fid_reference", STRING, "split of the data set that the FID compares with"),
    Column("fid_reference_size", INT, "number of images in that split"),
    *OPTIONAL.values(),
)
_DEVICE = Column("device", STRING, "device that trained, as PyTorch or its driver names it")
_DECISIONS = (
    _SEARCH,
    _TRIAL,
    _CONFIGURATION,
    _STEP,
    _PROGRESS,
    Column(
        "policy",
        STRING,
        "rule that decided; race and confirm decide on seeds, the others inside a run",
    ),
    Column("rung", INT, "number of the rung, from 0"),
    Column(
        "action",
        STRING,
        "what was decided; skip: the value could not be used for a decision; promote: the "
        "configuration gets another seed; audit: would have been stopped, but continues, to check "
        "the policy; "
        "drop: the configuration gets no more seeds in this confirmation",
        values=("stop", "continue", "skip", "promote", "audit", "drop"),
    ),
    Column("value", FLOAT, "value of the trial that was judged; lower is better", True),
    Column("cutoff", FLOAT, "value that had to be reached to go on", True),
    Column("competitors", INT, "number of values on the rung that it was judged against"),
    _PHASE,
    Column("reason", STRING, "the decision in words"),
    _TIMESTAMP,
)
_TRIALS_END = (
    Column(
        "status",
        STRING,
        "state of the trial; stopped means early, by a decision",
        values=("running", "completed", "stopped", "failed", "interrupted"),
    ),
    Column("start", TIME, "when the trial's first attempt started"),
    Column("end", TIME, "when the trial ended", True),
    _STEP,
    Column("steps", INT, "training steps of the full budget"),
    Column("error", STRING, "first line of the error of a failed trial", True),
    Column("checkpoint", STRING, "where the last checkpoint is", True),
    Column("final_fid", FLOAT, "comparable FID at full budget; empty without one", True),
    Column("final_bpd", FLOAT, "bits per dimension at full budget", True),
    Column("shape.area", FLOAT, "mean level over training, relative to the level at its start"),
    Column("shape.half_life", FLOAT, "progress at which the level has fallen to half"),
    Column("shape.clean_share", FLOAT, "share of training on clean data"),
    Column("shape.share_above_tenth", FLOAT, "share of training above a tenth of the level"),
    Column(
        "shape.share_below_hundredth",
        FLOAT,
        "share of training at no more than a hundredth of the level, the clean phase included; "
        "empty in tables from before version 3, which did not record it",
        True,
    ),
    Column("shape.end_slope", FLOAT, "relative slope of the level just before it ends"),
    Column("shape.clean_steps", INT, "training steps of the full budget on clean data"),
)


def columns(
    table: str,
    params: Mapping[str, pa.DataType] | None = None,
    extras: Iterable[Metric] = (),
) -> tuple[Column, ...]:
    """List the columns of a table in their order.

    Args:
        table: ``reports``, ``decisions`` or ``trials``.
        params: Arrow type of each parameter of the search, float64, int64, string or bool, by its
            name without the prefix. Not used for ``decisions``.
        extras: Metrics of the search that not every search has. Only ``reports`` has them.

    Raises:
        ValueError: If there is no such table, or a parameter has an empty name or another type.
    """
    if table == "decisions":
        return _DECISIONS
    own = _param_columns(params or {})
    if table == "reports":
        return (*_SAME_START, *own, *_reports_end(extras))
    if table == "trials":
        return (*_SAME_START, *own, *_TRIALS_END)
    raise ValueError(f"table must be one of {', '.join(TABLES)}, got {table!r}")


def _reports_end(extras: Iterable[Metric]) -> Iterator[Column]:
    for name, metric in MEASURED.items():
        if name == "fid":
            yield from (_COMPARABLE, metric, *_HOW_FID, *extras)
        else:
            yield metric
    yield from (_DEVICE, _TIMESTAMP)


def table_schema(
    table: str,
    params: Mapping[str, pa.DataType] | None = None,
    extras: Iterable[Metric] = (),
) -> pa.Schema:
    """Build the Arrow schema of a table; see `columns` for arguments and errors."""
    version = {VERSION_KEY: str(SCHEMA_VERSION).encode()}
    fields = [column.field for column in columns(table, params, extras)]
    return pa.schema(fields, metadata=version)


def reports_schema(params: Mapping[str, pa.DataType]) -> pa.Schema:
    """Schema of ``reports``, one row per evaluation; see `columns`."""
    return table_schema("reports", params)


def decisions_schema() -> pa.Schema:
    """Schema of ``decisions``, one row per decision of the search policy."""
    return table_schema("decisions")


def trials_schema(params: Mapping[str, pa.DataType]) -> pa.Schema:
    """Schema of ``trials``, one row per trial; see `columns`."""
    return table_schema("trials", params)


def params_of(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Read the schedule parameters and their types back from a table's schema."""
    return {
        field.name.removeprefix(PARAMS_PREFIX): field.type
        for field in schema
        if field.name.startswith(PARAMS_PREFIX)
    }


def version_of(schema: pa.Schema) -> int | None:
    """Read the schema version of a Parquet file; None when the file is not one of ours."""
    text = (schema.metadata or {}).get(VERSION_KEY, b"")
    return int(text) if text.isdigit() else None


def part_name(number: int, first: int, token: str) -> str:
    """Name a part file.

    Names in sorted order are files in the order of writing.

    Args:
        number: Number of the file; each new file has the next one.
        first: Lowest number whose rows the file holds: its own, or for a merged file that of
            the first file that went into it.
        token: Random hexadecimal digits, so that two writers never overwrite each other.
    """
    return f"part-{number:08d}-{first:08d}-{token}.parquet"


def part_names(found: Iterable[str]) -> list[str]:
    """Keep the names of part files and sort them by the order of writing."""
    return sorted(filter(_PART.fullmatch, found))


def part_range(name: str) -> tuple[int, int]:
    """First and last number whose rows a part file holds.

    Examples:
        >>> part_range(part_name(33, 0, "c0ffee"))
        (0, 33)
    """
    _, number, first, _ = name.split("-")
    return int(first), int(number)


def missing_parts(names: Iterable[str]) -> list[int]:
    """Numbers of part files whose rows are in none of the named files.

    A listing that is taken while files are merged can miss old files that are gone already and
    the merged one that came too late for it. Such a listing has gaps; a complete one has none.

    Examples:
        >>> missing_parts([part_name(2, 2, "ab"), part_name(3, 3, "ab")])
        [0, 1]
    """
    held: set[int] = set()
    for name in names:
        first, last = part_range(name)
        held.update(range(first, last + 1))
    return [number for number in range(max(held, default=-1)) if number not in held]


def describe() -> list[tuple[str, str, str, str]]:
    """List all columns as (table, column, type, description), for documentation.

    The parameters of a search stand as one line ``params.*``, its own metrics as ``extra.*``.
    """
    lines: list[tuple[str, str, str, str]] = []
    own = extra_metric("*", "another metric of fid.extra, such as one of your own, if asked for")
    for table in TABLES:
        for column in columns(table, {"*": FLOAT}, [own]):
            kind = "any" if column.name == "params.*" else str(column.type)
            lines.append((table, column.name, kind, _sentence(column)))
    return lines


def _sentence(column: Column) -> str:
    values = f" ({', '.join(column.values)})" if column.values else ""
    return f"{column.text}{values}{'; may be empty' if column.nullable else ''}"


def _param_columns(params: Mapping[str, pa.DataType]) -> Iterable[Column]:
    for name, kind in sorted(params.items()):
        if not name:
            raise ValueError("params must not have an empty name")
        if kind not in (FLOAT, STRING, INT, BOOL):
            raise ValueError(
                f"params[{name!r}] must be float64, int64, string or bool, got {kind}"
            )
        text = "schedule parameter or searched setting; empty when the trial has none of this name"
        yield Column(PARAMS_PREFIX + name, kind, text, nullable=True)
