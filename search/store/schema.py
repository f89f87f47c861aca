"""The result tables: every column, its type and its meaning, in one place.

A search writes three Parquet tables below its folder. ``reports`` has a row per evaluation,
``decisions`` a row per decision of the search policy, ``trials`` a row per trial. Each family of
schedules brings parameters of its own, so ``reports`` and ``trials`` also have one nullable
column ``params.NAME`` for each parameter of the search. This module needs only PyArrow.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 3
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
"""Start of the name of each column that holds a schedule parameter."""
SHAPE_PREFIX = "shape."
"""Start of the name of each column that holds a feature of the schedule's curve."""
KEYS: dict[str, tuple[str, ...]] = {
    "reports": ("search", "trial", "step"),
    "decisions": ("search", "trial", "step", "rung"),
    "trials": ("search", "trial"),
}
"""Columns that identify a row: a later row with the same key replaces the earlier one."""

_STRING, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_TIME = pa.timestamp("us", tz="UTC")
_PART = re.compile(r"part-[0-9]{8,}-[0-9]{8,}-[0-9a-f]+\.parquet")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Name of the column.
        type: Arrow type.
        description: What it holds, with its unit.
        nullable: Whether a row may leave it empty.
        values: The only legal values of a text column; empty when any text is legal.
    """

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False
    values: tuple[str, ...] = ()

    @property
    def field(self) -> pa.Field:
        """The column as an Arrow field that carries its description."""
        return pa.field(
            self.name, self.type, self.nullable, metadata={"description": self.description}
        )


_SEARCH = Column("search", _STRING, "name of the search")
_TRIAL = Column(
    "trial", _INT, "number of the trial, from 0; in confirmation n from n times 1,000,000"
)
_CONFIGURATION = Column(
    "configuration",
    _INT,
    "number of the model and schedule; trials of one configuration differ in the seed alone",
)
_PHASE = Column(
    "phase",
    _STRING,
    "whether the training data was still mollified at this step",
    values=("mollified", "clean"),
)
_STEP = Column("step", _INT, "training steps done")
_PROGRESS = Column("progress", _FLOAT, "share of the training budget that is done, in [0, 1]")
_TIMESTAMP = Column("time", _TIME, "when the row was made")
_SAME_START = (
    _SEARCH,
    _TRIAL,
    _CONFIGURATION,
    Column("attempt", _INT, "how often the trial was started; grows by 1 after each crash"),
    Column("seed", _INT, "seed of the initial weights, the batches and the noise"),
    Column("stage", _STRING, "search, or confirm for a re-run", values=("search", "confirm")),
    Column("model", _STRING, "name of the generative model"),
    Column("dataset", _STRING, "name of the data set"),
    Column("family", _STRING, "family of the mollification schedule; vanilla for none"),
)

_REPORTS_END = (
    _STEP,
    _PROGRESS,
    Column(
        "level", _FLOAT, "mollification at this step: noise variance, for blur the sigma in px"
    ),
    _PHASE,
    Column(
        "comparable",
        _BOOL,
        "true only at full budget, on clean data and with a finite FID; only such values of one "
        "model and one extractor may be ranked against each other",
    ),
    Column("fid", _FLOAT, "FID of the samples against the clean reference; lower is better", True),
    Column("extractor", _STRING, "network whose features the FID compares"),
    Column("extractor_sha256", _STRING, "SHA-256 of the extractor's weights"),
    Column("extractor_resize", _STRING, "what the extractor does to the size of an image"),
    Column("fid_samples", _INT, "number of samples behind the FID"),
    Column(
        "ema",
        _FLOAT,
        "half-life of the averaged weights that were evaluated, as a share of the training; "
        "0: the last weights themselves",
    ),
    Column("fid_reference", _STRING, "split of the data set that the FID compares with"),
    Column("fid_reference_size", _INT, "number of images in that split"),
    Column("kid", _FLOAT, "kernel Inception distance, if asked for; lower is better", True),
    Column("precision", _FLOAT, "share of samples near real images, if asked for", True),
    Column("recall", _FLOAT, "share of real images near samples, if asked for", True),
    Column(
        "fid_infinity", _FLOAT, "FID extrapolated to infinitely many samples, if asked for", True
    ),
    Column(
        "probe_fid",
        _FLOAT,
        "FID after a cooldown branch from this step, which was then thrown away; never "
        "comparable; NaN if the branch diverged",
        True,
    ),
    Column("probe_steps", _INT, "training steps of that branch; 0 without one"),
    Column("bpd", _FLOAT, "bits per dimension of clean held-out data; lower is better", True),
    Column("train_loss", _FLOAT, "mean training loss since the last evaluation", True),
    Column(
        "non_finite_losses", _INT, "steps so far that were skipped: loss or gradient not finite"
    ),
    Column("non_finite_samples", _INT, "samples in all evaluations so far that were not finite"),
    Column(
        "step_seconds", _FLOAT, "mean wall time of a training step since the last evaluation, s"
    ),
    Column("eval_seconds", _FLOAT, "wall time of this evaluation without its branch, s"),
    Column("device", _STRING, "device that trained, as PyTorch or its driver names it"),
    _TIMESTAMP,
)
_DECISIONS = (
    _SEARCH,
    _TRIAL,
    _CONFIGURATION,
    _STEP,
    _PROGRESS,
    Column(
        "policy",
        _STRING,
        "rule that decided; race and confirm decide on seeds, the others inside a run",
        values=("race", "asha", "late_cut", "probe", "confirm"),
    ),
    Column("rung", _INT, "number of the rung, from 0"),
    Column(
        "action",
        _STRING,
        "what was decided; skip: the value was not fit to decide on; promote: the configuration "
        "gets another seed; audit: would have been stopped, but goes on to check the policy; "
        "drop: the configuration gets no more seeds in this confirmation",
        values=("stop", "continue", "skip", "promote", "audit", "drop"),
    ),
    Column("value", _FLOAT, "value of the trial that was judged; lower is better", True),
    Column("cutoff", _FLOAT, "value that had to be reached to go on", True),
    Column("competitors", _INT, "number of values on the rung that it was judged against"),
    _PHASE,
    Column("reason", _STRING, "the decision in words"),
    _TIMESTAMP,
)
_TRIALS_END = (
    Column(
        "status",
        _STRING,
        "state of the trial; stopped means early, by a decision",
        values=("running", "completed", "stopped", "failed", "interrupted"),
    ),
    Column("start", _TIME, "when the trial's first attempt started"),
    Column("end", _TIME, "when the trial ended", True),
    _STEP,
    Column("steps", _INT, "training steps of the full budget"),
    Column("error", _STRING, "first line of the error of a failed trial", True),
    Column("checkpoint", _STRING, "where the last checkpoint is", True),
    Column("final_fid", _FLOAT, "comparable FID at full budget; empty without one", True),
    Column("final_bpd", _FLOAT, "bits per dimension at full budget", True),
    Column("shape.area", _FLOAT, "mean level over training, relative to the level at its start"),
    Column("shape.half_life", _FLOAT, "progress at which the level has fallen to half"),
    Column("shape.clean_share", _FLOAT, "share of training on clean data"),
    Column("shape.share_above_tenth", _FLOAT, "share of training above a tenth of the level"),
    Column(
        "shape.share_below_hundredth",
        _FLOAT,
        "share of training at no more than a hundredth of the level, the clean phase included; "
        "empty in tables from before version 3, which did not record it",
        True,
    ),
    Column("shape.end_slope", _FLOAT, "relative slope of the level just before it ends"),
    Column("shape.clean_steps", _INT, "training steps of the full budget on clean data"),
)


def columns(table: str, params: Mapping[str, pa.DataType] | None = None) -> tuple[Column, ...]:
    """List the columns of a table in their order.

    Args:
        table: ``reports``, ``decisions`` or ``trials``.
        params: Arrow type, float64 or string, of each schedule parameter of the search, by its
            name without the prefix. Not used for ``decisions``.

    Raises:
        ValueError: If there is no such table, or a parameter has an empty name or another type.
    """
    if table == "decisions":
        return _DECISIONS
    own = _param_columns(params or {})
    if table == "reports":
        return (*_SAME_START, *own, *_REPORTS_END)
    if table == "trials":
        return (*_SAME_START, *own, *_TRIALS_END)
    raise ValueError(f"table must be one of {', '.join(TABLES)}, got {table!r}")


def table_schema(table: str, params: Mapping[str, pa.DataType] | None = None) -> pa.Schema:
    """Build the Arrow schema of a table; see `columns` for arguments and errors."""
    version = {VERSION_KEY: str(SCHEMA_VERSION).encode()}
    return pa.schema([column.field for column in columns(table, params)], metadata=version)


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

    The parameters of a search stand as one line ``params.*``.
    """
    lines: list[tuple[str, str, str, str]] = []
    for table in TABLES:
        for column in columns(table, {"*": _FLOAT}):
            kind = "double or string" if column.name == "params.*" else str(column.type)
            lines.append((table, column.name, kind, _sentence(column)))
    return lines


def _sentence(column: Column) -> str:
    values = f" ({', '.join(column.values)})" if column.values else ""
    return f"{column.description}{values}{'; may be empty' if column.nullable else ''}"


def _param_columns(params: Mapping[str, pa.DataType]) -> Iterable[Column]:
    for name, kind in sorted(params.items()):
        if not name:
            raise ValueError("params must not have an empty name")
        if kind not in (_FLOAT, _STRING):
            raise ValueError(f"params[{name!r}] must be float64 or string, got {kind}")
        text = "schedule parameter; empty when the trial's family has none of this name"
        yield Column(PARAMS_PREFIX + name, kind, text, nullable=True)
