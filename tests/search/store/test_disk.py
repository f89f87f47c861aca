import errno
import os
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from tests.search.store.conftest import (
    expected,
    fids,
    parts,
    report,
    row,
    write_parts,
)

from mollitune.search.store import parts as _parts
from mollitune.search.store.writer import Store, StoreError


@pytest.mark.parametrize("table", ["report", "decision", "trial"])
def test_rows_survive_a_full_disk(
    opened: Store, root: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    getattr(opened, table)(row(f"{table}s", trial=5))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=f"cannot write .*{table}s.*No space left") as caught:
            opened.flush()
    assert "\n" not in str(caught.value)
    assert not any((root / f"{table}s").iterdir())
    opened.flush()
    files = list((root / f"{table}s").glob("*.parquet"))
    assert [pq.read_table(f, partitioning=None)["trial"].to_pylist() for f in files] == [[5]]


def test_corrupt_part_stops_the_merge_but_keeps_the_rows(
    opened: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "MAX_PARTS", 2)
    write_parts(opened, 2)
    broken = parts(root)[0]
    good = broken.read_bytes()
    broken.write_bytes(b"nonsense")
    with pytest.raises(StoreError, match=r"cannot write .*reports"):
        write_parts(opened, 1, first=2)
    broken.write_bytes(good)
    assert fids(root) == expected(3)


def test_file_that_cannot_be_written(opened: Store, root: Path) -> None:
    root.mkdir()
    (root / "samples").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write .*samples/1.png: .*permissions"):
        opened.write_file("samples/1.png", b"")


def test_all_readers_see_the_same_rows(opened: Store, root: Path) -> None:
    count = _parts.MAX_PARTS + 5
    for i in range(count):
        opened.report(report(i))
        opened.trial(row("trials", trial=i))
        opened.flush()
    folder, pattern = root / "reports", str(root / "reports" / "*.parquet")
    assert len(pd.read_parquet(folder)) == count
    assert ds.dataset(folder, format="parquet").count_rows() == count
    assert pl.scan_parquet(pattern).collect().height == count
    assert duckdb.execute(f"select count(*) from '{pattern}'").fetchall() == [(count,)]
    assert pl.read_parquet(root / "trials" / "trials.parquet").height == count
