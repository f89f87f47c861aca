"""Rows of the result tables, checked one by one before they are buffered."""

import numbers
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from .schema import PARAMS_PREFIX, Column, is_comparable

Cell = str | int | float | bool | datetime | None
"""What one field of a row may hold; NumPy scalars are taken too."""
Row = dict[str, Cell]
"""One row of a table: column name to value."""


def check_row(table: str, columns: Iterable[Column], row: Mapping[str, object]) -> Row:
    """Check a row against the columns of its table and bring it to plain Python values.

    A row that is wrong must be found here: once buffered it would make every later flush fail.

    Args:
        table: Name of the table, for the messages.
        columns: Columns of the table.
        row: One value per column. Only ``params.*`` may be left out, which means empty.

    Returns:
        A value for every column, in the order of the columns.

    Raises:
        ValueError: If a column is unknown, missing, empty without being nullable, of another
            type or outside its legal values, or if ``comparable`` or the steps of a cooldown
            branch contradict the row.
    """
    known = {column.name: column for column in columns}
    unknown = sorted(set(row) - set(known))
    if unknown:
        raise ValueError(f"{table} has no column {unknown[0]!r}; its columns: {', '.join(known)}")
    missing = [n for n in known if n not in row and not n.startswith(PARAMS_PREFIX)]
    if missing:
        raise ValueError(f"row of {table} lacks the column {missing[0]!r}")
    checked = {name: _cell(table, column, row.get(name)) for name, column in known.items()}
    if checked.get("comparable"):
        _check_comparable(checked)
    if table == "reports":
        _check_probe(checked)
    return checked


def _check_comparable(row: Row) -> None:
    progress, phase, fid = (row[name] for name in ("progress", "phase", "fid"))
    fits = (
        isinstance(progress, float)
        and isinstance(fid, float)
        and is_comparable(progress, str(phase), fid)
    )
    if not fits:
        raise ValueError(
            "comparable must be False unless the budget is used up on clean data with a finite "
            f"FID, got progress={progress!r}, phase={phase!r}, fid={fid!r}"
        )


def _check_probe(row: Row) -> None:
    fid, steps = row["probe_fid"], row["probe_steps"]
    if not isinstance(steps, int) or steps < 0 or (fid is None) != (steps == 0):
        raise ValueError(
            "probe_fid needs the steps of its branch, and without one it is empty and they are 0, "
            f"got probe_fid={fid!r}, probe_steps={steps!r}"
        )


def _cell(table: str, column: Column, value: object) -> Cell:
    if value is None:
        if column.nullable:
            return None
        raise ValueError(f"{table}.{column.name} must not be empty")
    try:
        converted = _convert(column.type, value)
    except (TypeError, OverflowError) as error:
        raise ValueError(
            f"{table}.{column.name} must be {column.type}, got {value!r} ({error})"
        ) from None
    if column.values and converted not in column.values:
        legal = ", ".join(column.values)
        raise ValueError(f"{table}.{column.name} must be one of {legal}, got {value!r}")
    return converted


def _convert(kind: pa.DataType, value: object) -> Cell:
    # PyArrow would cut 1.5 to 1, take True for 1.0 and read a naive time as UTC.
    is_bool = isinstance(value, bool | np.bool_)
    if pa.types.is_boolean(kind) and is_bool:
        return bool(value)
    if pa.types.is_int64(kind) and isinstance(value, numbers.Integral) and not is_bool:
        return _int64(int(value))
    if pa.types.is_float64(kind) and isinstance(value, numbers.Real) and not is_bool:
        return float(value)
    if pa.types.is_string(kind) and isinstance(value, str):
        return str(value)
    if pa.types.is_timestamp(kind) and isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a time needs a time zone")
        return value.astimezone(UTC)
    raise TypeError(f"a {type(value).__name__}")


def _int64(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise OverflowError("more than 64 bits")
    return value
