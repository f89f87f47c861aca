"""Tables of numbers: three of scikit-learn's, and Parquet or CSV files of one's own.

Their rows are vectors, standardised by the training part, whose likelihood a flow gives exactly.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mollitune._errors import MollituneError
from mollitune._files import first_line

from .images import Images

KIND = "table"
ROWS = "array:rows-"
"""Start of the names of tables that were given in Python."""
SUFFIXES = frozenset({".csv", ".tsv"})
MOST_COLUMNS = 1000
FEWEST_VALUES = 10
"""Distinct values of a column, below which it is no number with a density but a class."""

_FILES: dict[str, tuple[str, str | None, int, list[int]]] = {
    "wine": ("wine_data.csv", ",", 1, [*range(13)]),
    "breast_cancer": ("breast_cancer.csv", ",", 1, [*range(30)]),
    # without the second column, the sex
    "diabetes": ("diabetes_data_raw.csv.gz", None, 0, [0, *range(2, 10)]),
}
SHIPPED = tuple(_FILES)
_WHERE = "choose columns after a #, as in table:FILE#height,weight"


def is_table(spec: str) -> bool:
    """Return whether a data set is a table, by the name that a config has for it."""
    kind, _, rest = spec.partition(":")
    path = Path(spec.partition("#")[0])
    shipped, array = kind in SHIPPED and not rest, spec.startswith(ROWS)
    return shipped or array or kind == KIND or path.suffix.lower() in SUFFIXES


def load_table(spec: str) -> Images:
    """Load a table.

    Args:
        spec: ``wine``, ``breast_cancer`` or ``diabetes`` (the measurements of scikit-learn's data
            sets, without their classes); ``table:FILE`` for a Parquet or CSV file with a header,
            or the path of a CSV file alone. ``#a,b`` behind a path takes these columns only.

    Returns:
        Its rows, float32 with shape (N, D).

    Raises:
        MollituneError: If the file cannot be read, or a column is no number with a density: text,
            something missing or infinite, one value, or only a few different ones.
    """
    if spec in _FILES:
        return Images(spec, _shipped(spec))
    path, _, chosen = spec.removeprefix(f"{KIND}:").partition("#")
    table = _chosen(spec, _read(spec, Path(path).expanduser()), chosen)
    if table.num_columns > MOST_COLUMNS:
        raise MollituneError(
            f"dataset {spec}: {table.num_columns:,} columns, and at most {MOST_COLUMNS:,} are "
            f"taken; {_WHERE}"
        )
    columns = [_column(spec, name, table.column(name)) for name in table.column_names]
    return Images(spec, np.stack(columns, axis=1).astype(np.float32))


def _shipped(name: str) -> npt.NDArray[np.float32]:
    # scikit-learn's own loaders would import all of it, for two seconds
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    file, comma, header, columns = _FILES[name]
    path = Path(package.origin).with_name("datasets") / "data" / file
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as lines:
        rows = np.loadtxt(lines, np.float32, delimiter=comma, skiprows=header)
    return np.ascontiguousarray(rows[:, columns])


def _read(spec: str, path: Path) -> pa.Table:
    if not path.is_file():
        raise MollituneError(f"dataset {spec}: no such file; check the path {path}")
    try:
        if path.suffix.lower() not in SUFFIXES:
            return pq.read_table(path)
        tab = path.suffix.lower() == ".tsv"
        options = pa_csv.ParseOptions(delimiter="\t" if tab else ",")
        return pa_csv.read_csv(path, parse_options=options)
    except (OSError, pa.ArrowException) as error:
        raise MollituneError(
            f"dataset {spec}: {path} is no readable Parquet or CSV file ({first_line(error)})"
        ) from None


def _chosen(spec: str, table: pa.Table, names: str) -> pa.Table:
    known = table.column_names
    if len(set(known)) < len(known):
        twice = next(name for name in known if known.count(name) > 1)
        raise MollituneError(f"dataset {spec}: two columns are called {twice!r}; rename one")
    wanted = [name.strip() for name in names.split(",") if name.strip()] or known
    for name in wanted:
        if name not in known:
            some = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
            raise MollituneError(f"dataset {spec}: no column {name!r}; there are: {some}")
    return table.select(wanted)


def _column(spec: str, name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    what = f"dataset {spec}: column {name!r}"
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise MollituneError(f"{what} holds no numbers ({column.type}); {_WHERE}")
    return checked_column(what, pc.cast(column, pa.float64()).to_numpy())


def checked_column(what: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the numbers of a column.

    Args:
        what: The column, for errors.
        values: Its numbers with shape (N,).

    Raises:
        MollituneError: If one is not finite, or too few differ.
    """
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise MollituneError(
            f"{what} has no finite number in row {row + 1:,} of the data; mend the row or drop it"
        )
    different = len(np.unique(values))
    if different < FEWEST_VALUES:
        found = "one value" if different == 1 else f"{different} different values"
        raise MollituneError(
            f"{what} has {found} only, and a density would grow without bound there; {_WHERE}"
        )
    return np.asarray(values, np.float64)
