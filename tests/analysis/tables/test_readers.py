"""Programs of other makers read the tables: the same counts and the same types in all of them."""

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

MERGED_AT = 4  # part files


def of_duckdb(folder: Path) -> pa.Table:
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.sql(f"select * from '{folder}/*.parquet'").to_arrow_table()


# each reads with its own types and hands over what it has made of them
READERS: dict[str, Callable[[Path], pa.Table]] = {
    "pandas": lambda folder: pa.Table.from_pandas(pd.read_parquet(folder), preserve_index=False),
    "polars": lambda folder: pl.read_parquet(folder / "*.parquet").to_arrow(),
    "duckdb": of_duckdb,
    "pyarrow": lambda folder: ds.dataset(folder, format="parquet").to_table(),
}


def types_of(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type).replace("large_", "") for field in table.schema}


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
    assert types_of(seen) == {field.name: str(field.type) for field in schema}
    ours = load_results(folder).tables[table]
    assert len(seen) == len(ours)
    for name in ours.column_names:
        assert seen[name].null_count == ours[name].null_count, name
        if schema.field(name).type in (pa.int64(), pa.float64()):
            sums = (pa.compute.sum(own[name]).as_py() or 0 for own in (seen, ours))
            assert next(sums) == pytest.approx(next(sums)), name


def test_there_are_empty_cells_texts_and_times_to_read(folder: Path) -> None:
    """Otherwise the test above would say less than it seems to."""
    seen = READERS["pyarrow"](folder / "trials")
    assert 0 < seen["params.sigma_max"].null_count < len(seen)
    assert types_of(seen)["params.curve"] == "string"
    assert 0 < seen["params.curve"].null_count < len(seen)
    assert seen["checkpoint"].null_count == len(seen)
    kinds = {"string", "int64", "double", "bool", "timestamp[us, tz=UTC]"}
    assert {*types_of(READERS["pyarrow"](folder / "reports")).values()} == kinds


def test_a_time_is_the_same_moment_everywhere(folder: Path) -> None:
    first = min(trial.report(0.2)["time"] for trial in TRIALS)
    for read in READERS.values():
        assert pa.compute.min(read(folder / "reports")["time"]).as_py() == first


def test_nan_and_empty_stay_apart_where_a_reader_knows_both(make_search: MakeSearch) -> None:
    """A diverged evaluation has NaN, a missing one is empty; pandas has one word for both."""
    cells = {0.2: float("nan"), 0.4: None}
    rows = [{**TRIALS[0].report(progress), "fid": fid} for progress, fid in cells.items()]
    where = Path(make_search((), samples=False, reports=rows), "reports")
    polars = pl.read_parquet(where / "*.parquet")["fid"]
    assert (polars.null_count(), polars.is_nan().sum()) == (1, 1)
    arrow = ds.dataset(where).to_table()["fid"]
    assert (arrow.null_count, pa.compute.sum(pa.compute.is_nan(arrow)).as_py()) == (1, 1)
    with duckdb.connect(":memory:") as connection:
        query = f"select count(*) - count(fid), sum(isnan(fid)::int) from '{where}/*.parquet'"
        assert connection.sql(query).fetchall() == [(1, 1)]
    assert pd.read_parquet(where)["fid"].isna().sum() == 2
