"""Rows of the result tables, checked one by one before they are buffered."""

import numbers
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import cast

import numpy as np
import pyarrow as pa

from .columns import Column
from .comparable import is_comparable
from .evaluation import EXTRA_PREFIX
from .schema import PARAMS_PREFIX

Cell = str | int | float | bool | datetime | None
"""What one field of a row may hold; NumPy scalars are taken too."""
Row = dict[str, Cell]
"""One row of a table: column name to value."""
_MAY_LACK = (PARAMS_PREFIX, EXTRA_PREFIX)


class RowCheck:
    """Checks rows against the columns of their table and brings them to plain Python values.

    A row that is wrong must be found here: once buffered it would make every later flush fail.

    Arguments:
        table: Name of the table, for the messages.
        columns: Columns of the table.
    """

    def __init__(self, table: str, columns: Iterable[Column]) -> None:
        self._table = table
        self._columns = {
            column.name: (column, _legal_as_it_is(column), frozenset(column.values))
            for column in columns
        }
        self._needed = {name for name in self._columns if not name.startswith(_MAY_LACK)}

    def __call__(self, row: Mapping[str, object]) -> Row:
        """Return a value for every column, in the order of the columns.

        Args:
            row: One value per column. Only ``params.*`` and ``extra.*`` may be left out, which
                means empty.

        Raises:
            ValueError: If a column is unknown, missing, empty without being nullable, of another
                type or outside its legal values, or if ``comparable`` or the steps of a cooldown
                branch contradict the row.
        """
        self._check_names(row)
        checked: Row = {}
        for name, (column, legal, values) in self._columns.items():
            value = row.get(name)
            # most cells are what they should be, and a driver checks millions of them
            kind = type(value)
            plain = kind in legal or (kind is str and value in values)
            if not plain or (kind is int and not _fits(cast(int, value))):
                value = _cell(self._table, column, value)
            checked[name] = cast(Cell, value)
        if checked.get("comparable"):
            _check_comparable(checked)
        if self._table == "reports":
            _check_probe(checked)
        return checked

    def _check_names(self, row: Mapping[str, object]) -> None:
        unknown = sorted(row.keys() - self._columns.keys())
        if unknown:
            known = ", ".join(self._columns)
            raise ValueError(f"{self._table} has no column {unknown[0]!r}; its columns: {known}")
        if not self._needed <= row.keys():
            missing = next(name for name in self._columns if name in self._needed - row.keys())
            raise ValueError(f"row of {self._table} lacks the column {missing!r}")


def _legal_as_it_is(column: Column) -> frozenset[type]:
    """Python types of which every value is legal in a column, integers if they fit."""
    plain: dict[pa.DataType, type] = {pa.float64(): float, pa.bool_(): bool, pa.int64(): int}
    if not column.values:
        plain[pa.string()] = str
    legal = {type(None)} if column.nullable else set()
    return frozenset(legal | {plain[column.type]} if column.type in plain else legal)


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
    if not _fits(value):
        raise OverflowError("more than 64 bits")
    return value


def _fits(value: int) -> bool:
    return -(2**63) <= value < 2**63
