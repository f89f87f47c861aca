import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.search.store.conftest import (
    PARAMS,
    Clock,
    parts,
    report,
    row,
    rows,
    steps,
)

from mollitune._folder import StorageError
from mollitune.search.store import writer as store
from mollitune.search.store.writer import Store, StoreError


def test_rows_of_all_tables_wait_until_there_are_five_hundred(opened: Store, root: Path) -> None:
    half = store.FLUSH_ROWS // 2
    for i in range(half):
        assert not root.exists()
        opened.report(report(i))
        opened.decision(row("decisions", trial=i))
    assert len(parts(root)) == 1
    assert len(rows(root)) == len(rows(root, "decisions")) == half


def test_what_waited_two_seconds_is_written(opened: Store, root: Path, clock: Clock) -> None:
    clock.now += store.FLUSH_SECONDS
    opened.flush_if_due()
    opened.flush()
    clock.now += store.FLUSH_SECONDS - 0.01
    opened.report(report(0))
    opened.flush_if_due()
    assert not root.exists()
    clock.now += 0.01
    opened.flush_if_due()
    assert steps(root) == [(0, 0)]


def test_close_writes_and_refuses_more(opened: Store, root: Path) -> None:
    with opened:
        opened.report(report(0))
    opened.close()
    assert steps(root) == [(0, 0)]
    with pytest.raises(ValueError, match="is closed and takes no more rows"):
        opened.report(report(1))


def test_trials_are_replaced_by_number(opened: Store, root: Path) -> None:
    for trial in (1, 0):
        opened.trial(row("trials", trial=trial, status="running"))
    opened.flush()
    opened.trial(row("trials", trial=1, status="completed"))
    opened.flush()
    table = pq.read_table(root / "trials" / "trials.parquet").to_pylist()
    assert [(r["trial"], r["status"]) for r in table] == [(0, "running"), (1, "completed")]
    assert [path.name for path in (root / "trials").iterdir()] == ["trials.parquet"]


def test_reopened_store_keeps_earlier_trials_and_parts(opened: Store, root: Path) -> None:
    opened.trial(row("trials", trial=0))
    opened.report(report(0, step=1, fid=1.0))
    opened.close()
    with Store.open(str(root), PARAMS) as again:
        again.trial(row("trials", trial=1))
        again.report(report(0, step=1, fid=2.0))
        again.report(report(1))
        assert again.keys("reports") == {("x", 0, 1)}
    assert pq.read_table(root / "trials" / "trials.parquet").num_rows == 2
    assert [(r["trial"], r["step"], r["fid"]) for r in rows(root)] == [(0, 1, 2.0), (1, 0, 0.5)]


@pytest.mark.parametrize("table", ["reports", "trials"])
def test_other_params_do_not_fit(opened: Store, root: Path, table: str) -> None:
    getattr(opened, table.removesuffix("s"))(row(table))
    opened.close()
    with pytest.raises(StoreError, match=r"do not fit this search .*params.curve"):
        Store.open(str(root), {"until": pa.float64()})
    with pytest.raises(StoreError, match=r"do not fit this search .*the types"):
        Store.open(str(root), {"until": pa.float64(), "curve": pa.float64()})


def test_open_names_a_corrupt_folder(opened: Store, root: Path) -> None:
    opened.trial(row("trials"))
    opened.close()
    (root / "trials" / "trials.parquet").write_bytes(b"nonsense")
    with pytest.raises(StorageError, match=f"cannot read {root}: "):
        Store.open(str(root), PARAMS)


def test_pickled_store_keeps_its_rows_and_sees_later_ones(opened: Store, root: Path) -> None:
    opened.trial(row("trials", trial=0))
    opened.flush()
    opened.report(report(0))
    data = pickle.dumps(opened)
    opened.report(report(1))
    opened.trial(row("trials", trial=1))
    opened.close()
    copy = pickle.loads(data)
    copy.trial(row("trials", trial=2))
    copy.report(report(2))
    copy.close()
    assert steps(root) == [(0, 0), (1, 0), (2, 0)]
    assert pq.read_table(root / "trials" / "trials.parquet").num_rows == 3
    assert len({path.name for path in parts(root)}) == 2
