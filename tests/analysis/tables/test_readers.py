"""Programs of other makers read the tables: the same counts and the same types in all of them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from tests.analysis.conftest import PARAMS, TRIALS, MakeSearch

from mollitune.analysis import load_results
from mollitune.search.store import parts as _parts
from mollitune.search.store.schema import TABLES, table_schema
from mollitune.search.store.writer import Store

Types = dict[str, str]
# how each reader calls what the schema holds
ARROW = {
    "string": "text",
    "int64": "whole number",
    "double": "number",
    "bool": "yes or no",
    "timestamp[us, tz=UTC]": "time in UTC",
}
PANDAS = {
    "str": "text",
    "int64": "whole number",
    "float64": "number",
    "bool": "yes or no",
    "datetime64[us, UTC]": "time in UTC",
}
POLARS = {
    "String": "text",
    "Int64": "whole number",
    "Float64": "number",
    "Boolean": "yes or no",
    "Datetime(time_unit='us', time_zone='UTC')": "time in UTC",
}
DUCKDB = {
    "VARCHAR": "text",
    "BIGINT": "whole number",
    "DOUBLE": "number",
    "BOOLEAN": "yes or no",
    "TIMESTAMP WITH TIME ZONE": "time in UTC",
}
MERGED_AT = 4  # part files


@dataclasses.dataclass
class Seen:
    """What a reader makes of a table: its types by column, and how often each cell is filled."""

    rows: int
    types: Types
    filled: dict[str, int]
    sums: dict[str, float]


def of_pandas(folder: Path) -> Seen:
    frame = pd.read_parquet(folder)
    types = {str(name): PANDAS[str(kind)] for name, kind in frame.dtypes.items()}
    filled = {str(name): int(count) for name, count in frame.count().items()}
    return Seen(len(frame), types, filled, {n: float(frame[n].sum()) for n in numbers(types)})


def of_pyarrow(folder: Path) -> Seen:
    table = ds.dataset(folder, format="parquet").to_table()
    types = {field.name: ARROW[str(field.type)] for field in table.schema}
    filled = {name: len(table) - table[name].null_count for name in table.column_names}
    sums = {n: float(sum(filter(None, table[n].to_pylist()))) for n in numbers(types)}
    return Seen(len(table), types, filled, sums)


def of_polars(folder: Path) -> Seen:
    frame = pl.read_parquet(folder / "*.parquet")
    types = {name: POLARS[str(kind)] for name, kind in frame.schema.items()}
    filled = {name: frame[name].count() for name in frame.columns}
    return Seen(frame.height, types, filled, {n: float(frame[n].sum()) for n in numbers(types)})


def of_duckdb(folder: Path) -> Seen:
    with duckdb.connect(":memory:") as connection:
        rows = connection.sql(f"select * from '{folder}/*.parquet'")
        types = {n: DUCKDB[str(k)] for n, k in zip(rows.columns, rows.types, strict=True)}
        counts = ", ".join(f'count("{name}")' for name in types)
        totals = ", ".join(f'coalesce(sum("{name}"), 0)' for name in numbers(types))
        query = f"select count(*), {counts}, {totals} from rows"
        found = connection.sql(query).fetchall()[0]
    after = 1 + len(types)
    filled = dict(zip(types, map(int, found[1:after]), strict=True))
    sums = dict(zip(numbers(types), map(float, found[after:]), strict=True))
    return Seen(int(found[0]), types, filled, sums)


def numbers(types: Types) -> list[str]:
    return [name for name, kind in types.items() if kind in ("whole number", "number")]


READERS: dict[str, Callable[[Path], Seen]] = {
    "pandas": of_pandas,
    "polars": of_polars,
    "duckdb": of_duckdb,
    "pyarrow": of_pyarrow,
}


@pytest.fixture(params=["in parts", "merged"])
def folder(
    request: pytest.FixtureRequest, make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A store of several part files per table, or the same after they were merged."""
    monkeypatch.setattr(_parts, "MAX_PARTS", 3 * len(TRIALS))
    location = make_search((), samples=False)
    with Store.open(location, PARAMS) as store:
        for trial in TRIALS:
            trial.write(store)
            store.flush()
    if request.param == "merged":
        monkeypatch.setattr(_parts, "MAX_PARTS", MERGED_AT)
        with Store.open(location, PARAMS) as store:
            # the last rows once more, which is what makes it merge: nothing new
            store.report(TRIALS[-1].report(1.0))
            store.decision(TRIALS[-1].decision(4, 1.0))
    parts = {name: len(list((Path(location) / name).glob("*.parquet"))) for name in TABLES[:2]}
    wanted = 1 if request.param == "merged" else len(TRIALS)
    assert parts == {"reports": wanted, "decisions": wanted}
    return Path(location)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("table", TABLES)
def test_counts_and_types_are_those_of_the_schema(folder: Path, table: str, reader: str) -> None:
    seen = READERS[reader](folder / table)
    schema = table_schema(table, PARAMS)
    assert seen.types == {field.name: ARROW[str(field.type)] for field in schema}
    ours = load_results(folder).tables[table]
    assert seen.rows == len(ours)
    assert seen.filled == {n: len(ours) - ours[n].null_count for n in ours.column_names}
    for name, total in seen.sums.items():
        values = [value for value in ours[name].to_pylist() if value is not None]
        assert total == pytest.approx(sum(values)), name


def test_there_are_empty_cells_texts_and_times_to_read(folder: Path) -> None:
    """Otherwise the test above would say less than it seems to."""
    seen = of_pyarrow(folder / "trials")
    assert 0 < seen.filled["params.sigma_max"] < seen.rows
    assert seen.types["params.curve"] == "text"
    assert 0 < seen.filled["params.curve"] < seen.rows
    assert seen.filled["checkpoint"] == 0
    assert set(ARROW.values()) == {*of_pyarrow(folder / "reports").types.values()}


def test_a_time_is_the_same_moment_everywhere(folder: Path) -> None:
    first = min(trial.report(0.2)["time"] for trial in TRIALS)
    where = folder / "reports"
    assert pd.read_parquet(where)["time"].min() == first
    assert pl.read_parquet(where / "*.parquet")["time"].min() == first
    assert pa.compute.min(ds.dataset(where).to_table()["time"]).as_py() == first
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        query = f"select epoch_us(min(time)) from '{where}/*.parquet'"
        assert connection.sql(query).fetchall() == [(round(first.timestamp() * 1e6),)]


def test_nan_and_empty_stay_apart_where_a_reader_knows_both(make_search: MakeSearch) -> None:
    """A diverged evaluation has NaN, a missing one is empty; pandas has one word for both."""
    location = Path(make_search((), samples=False))
    with Store.open(str(location), PARAMS) as store:
        store.report({**TRIALS[0].report(0.2), "fid": float("nan")})
        store.report({**TRIALS[0].report(0.4), "fid": None})
    where = location / "reports"
    polars = pl.read_parquet(where / "*.parquet")["fid"]
    assert (polars.null_count(), polars.is_nan().sum()) == (1, 1)
    arrow = ds.dataset(where).to_table()["fid"]
    assert (arrow.null_count, pa.compute.sum(pa.compute.is_nan(arrow)).as_py()) == (1, 1)
    with duckdb.connect(":memory:") as connection:
        query = f"select count(*) - count(fid), sum(isnan(fid)::int) from '{where}/*.parquet'"
        assert connection.sql(query).fetchall() == [(1, 1)]
    assert pd.read_parquet(where)["fid"].isna().sum() == 2
