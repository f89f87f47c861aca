"""Tables that are put in order and spelled out late are those that were read at once."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.analysis.conftest import PARAMS, TRIALS, YOUNG, MakeSearch, Search
from tests.plain_tables import deduplicate

from mollitune.analysis import Results, load_results
from mollitune.analysis.ranking import leaderboard
from mollitune.analysis.tables.rows import Rows
from mollitune.search.store import parts as _parts
from mollitune.search.store.arrow import CODED, coded
from mollitune.search.store.schema import KEYS, TABLES, VERSION_KEY, part_name, table_schema
from mollitune.search.store.writer import Store


def plainly(folder: str, table: str) -> pa.Table:
    """What a reader without any of this gets: Arrow's own grouping and sorting."""
    paths = sorted(Path(folder, table).glob("*.parquet"))
    merged = pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths])
    key = KEYS[table]
    return deduplicate(merged, key).sort_by([(name, "ascending") for name in key])


def interleaved(folder: str, fid: float = 0.0) -> None:
    """Write evaluations as trials that run side by side do, each evaluation a part file."""
    with Store.open(folder, PARAMS) as store:
        for progress in (0.2, 0.4, 0.6, 0.8, 1.0):
            for trial in TRIALS:
                if progress in trial.evaluations():
                    row = trial.report(progress)
                    store.report({**row, "fid": row["fid"] + fid})
                    store.flush()


@pytest.mark.parametrize("table", TABLES)
def test_text_is_text_for_everyone(results: Results, table: str) -> None:
    found, wanted = results.tables[table], table_schema(table, PARAMS)
    assert found.schema.equals(wanted, check_metadata=True)
    assert results.tables[table] is found
    assert found.equals(plainly(results.root, table))


def test_text_is_read_as_codes(results: Results) -> None:
    kinds: list[pa.DataType] = []

    def linear(table: pa.Table) -> pa.ChunkedArray:
        kinds.extend(table.schema.types)
        return pc.equal(table["family"], "linear")

    found = results.tables.rows["reports"].where(linear)
    own = [trial for trial in TRIALS if trial.schedule.family == "linear"]
    assert found.num_rows == sum(len(trial.evaluations()) for trial in own)
    assert kinds.count(CODED) == table_schema("reports", PARAMS).types.count(pa.string())
    assert pa.string() not in kinds


@pytest.mark.parametrize("before", [False, True])
def test_a_condition_meets_the_last_row_of_each_key(tmp_path: Path, before: bool) -> None:
    folder = str(tmp_path)
    interleaved(folder, fid=1000.0)
    interleaved(folder)
    rows = load_results(folder).tables.rows["reports"]
    wanted = plainly(folder, "reports")
    if before:  # spelled out already
        assert rows.all().equals(wanted)
    assert len(rows) == wanted.num_rows
    none = rows.where(lambda t: pc.greater(t["fid"], 1000.0))
    assert none.num_rows == 0
    assert none.schema.equals(wanted.schema)
    clean = rows.where(lambda t: pc.equal(t["phase"], "clean"))
    assert clean.equals(wanted.filter(pc.equal(wanted["phase"], "clean")))
    assert rows.column("family").to_pylist() == wanted["family"].to_pylist()


def test_parts_of_trials_side_by_side_come_in_order(tmp_path: Path) -> None:
    interleaved(str(tmp_path))
    found = load_results(tmp_path)
    keys = list(found.reports[["trial", "step"]].itertuples(index=False, name=None))
    assert keys == sorted(keys)
    assert found.tables["reports"].equals(plainly(str(tmp_path), "reports"))


def test_parts_that_a_crash_left_beside_their_merged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row stands twice, as after a driver that died before it deleted the old parts."""
    monkeypatch.setattr(_parts, "MAX_PARTS", 10**6)
    whole, hurt = str(tmp_path / "whole"), tmp_path / "hurt"
    interleaved(whole)
    shutil.copytree(whole, hurt)
    old = sorted((hurt / "reports").iterdir())
    merged = pa.concat_tables([pq.read_table(path, partitioning=None) for path in old])
    last = len(old) - 1
    pq.write_table(merged, hurt / "reports" / part_name(last + 1, 0, "ab"))
    found, wanted = load_results(hurt), load_results(whole)
    assert found.tables["reports"].equals(wanted.tables["reports"])
    assert leaderboard(found).equals(leaderboard(wanted))


def test_parts_of_two_versions_fit_together(make_search: MakeSearch) -> None:
    """Columns that an old file lacks come as text, those of a new one as codes."""
    folder = make_search()
    wanted = load_results(folder).decisions
    table = plainly(folder, "decisions")
    for path in Path(folder, "decisions").iterdir():
        path.unlink()
    old = table.slice(0, 5).drop_columns(["policy"]).replace_schema_metadata({VERSION_KEY: b"2"})
    pq.write_table(old, path.with_name(part_name(0, 0, "ab")))
    pq.write_table(table.slice(5), path.with_name(part_name(1, 1, "ab")))
    assert load_results(folder).decisions.equals(wanted)


def test_a_text_that_only_an_unknown_column_holds(make_search: MakeSearch) -> None:
    folder = make_search()
    for path in Path(folder, "reports").iterdir():
        table = pq.read_table(path, partitioning=None)
        notes = pc.binary_join_element_wise(table["family"], "a note", ": ")
        pq.write_table(table.append_column("note", notes), path)
    found = load_results(folder).tables["reports"]
    assert found.schema.field("note").type == pa.string()
    wanted = [f"{family}: a note" for family in found["family"].to_pylist()]
    assert found["note"].to_pylist() == wanted


def test_no_rows(search: Search) -> None:
    rows = search(YOUNG).tables.rows["reports"]
    assert len(rows) == 0
    assert rows.where(lambda t: t["comparable"]).num_rows == 0
    assert rows.all().num_rows == 0
    assert len(Rows(pa.table({"a": pa.array([], pa.string())}), ("a",))) == 0


def test_codes_keep_what_is_empty() -> None:
    table = pa.table({"a": ["x", None, "x"], "b": [1, 2, 3]})
    found = coded(table)
    assert found.schema.types == [CODED, pa.int64()]
    assert found.cast(table.schema).equals(table)
