import errno
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.search.store.conftest import expected, fids, parts, row, write_parts

from mollitune._folder import StorageError
from mollitune.search.store import parts as _parts
from mollitune.search.store.writer import Store


@pytest.mark.parametrize("table", ["report", "decision", "trial"])
def test_rows_survive_a_full_disk(
    opened: Store, root: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    getattr(opened, table)(row(f"{table}s", trial=5))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=f"cannot write .*{table}s.*No space left"):
            opened.flush()
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
    with pytest.raises(StorageError, match=r"cannot write .*reports"):
        write_parts(opened, 1, first=2)
    broken.write_bytes(good)
    assert fids(root) == expected(3)
