import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from tests.search.store.conftest import (
    PARAMS,
    expected,
    fids,
    parts,
    report,
    write_parts,
)

from mollitune.search.store import parts as _parts
from mollitune.search.store.schema import table_schema
from mollitune.search.store.writer import Store


def test_many_parts_become_one(opened: Store, root: Path) -> None:
    write_parts(opened, _parts.MAX_PARTS)
    assert len(parts(root)) == _parts.MAX_PARTS
    write_parts(opened, 1, first=_parts.MAX_PARTS)
    assert len(parts(root)) == 1
    assert fids(root) == expected(_parts.MAX_PARTS + 1)


def test_number_of_parts_stays_small(opened: Store, root: Path) -> None:
    write_parts(opened, 100)
    assert len(parts(root)) <= _parts.MAX_PARTS
    assert fids(root) == expected(100)


def test_merged_file_holds_each_row_once_with_the_newest_value(
    opened: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "MAX_PARTS", 2)
    for fid in (1.0, 2.0, 3.0):
        opened.report(report(0, fid=fid))
        opened.flush()
    (only,) = parts(root)
    assert [r["fid"] for r in pq.read_table(only, partitioning=None).to_pylist()] == [3.0]


def test_a_merged_file_is_in_order_and_has_the_columns_of_the_others(
    opened: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the groups that are written at once."""
    monkeypatch.setattr(_parts, "MAX_PARTS", 20)
    monkeypatch.setattr(_parts, "_GROUP_ROWS", 4)
    write_parts(opened, 21)
    (only,) = parts(root)
    assert pq.read_metadata(only).num_row_groups == 6
    assert pq.read_schema(only).equals(table_schema("reports", PARAMS), check_metadata=True)
    found = pq.read_table(only, partitioning=None)
    keys = list(zip(found["trial"].to_pylist(), found["step"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert fids(root) == expected(21)


class Killed(BaseException):
    """The process ends here."""


class DyingFileSystem(fs.LocalFileSystem):  # type: ignore[misc]
    """Dies at a chosen deletion."""

    left = -1

    def delete_file(self, path: str) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        super().delete_file(path)


@pytest.mark.parametrize("deleted", range(5))
def test_death_while_old_parts_are_deleted(
    root: Path, monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    monkeypatch.setattr(_parts, "MAX_PARTS", 4)
    filesystem = DyingFileSystem()
    dying = Store(filesystem, str(root), PARAMS)
    write_parts(dying, 4)
    filesystem.left = deleted
    with pytest.raises(Killed):
        write_parts(dying, 1, first=4)
    assert len(parts(root)) == 6 - deleted
    assert fids(root) == expected(5)
    write_parts(Store.open(str(root), PARAMS), 20, first=5)
    assert fids(root) == expected(25)
    assert len(parts(root)) <= 5


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_death_while_the_merged_part_is_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(_parts, "MAX_PARTS", 4)
    dying = Store.open(str(root), PARAMS)
    write_parts(dying, 4)
    owner: Any = os if step == "fsync" else Path
    original = getattr(owner, step)
    calls = 0

    def die(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        # The fifth part is written first, with one rename or with fsync of file and folder.
        if calls == (3 if step == "fsync" else 2):
            raise Killed
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(Killed):
            write_parts(dying, 1, first=4)
    assert fids(root) == expected(5)
    assert [path.name for path in (root / "reports").iterdir() if path.suffix == ".tmp"] == []
    write_parts(Store.open(str(root), PARAMS), 5, first=5)
    assert fids(root) == expected(10)


def test_temporary_file_of_a_killed_process_is_nobodys_row(opened: Store, root: Path) -> None:
    write_parts(opened, 1)
    (root / "reports" / ".part-00000001-00000001-ab.parquet.0f.tmp").write_bytes(b"half")
    assert ds.dataset(root / "reports", format="parquet").count_rows() == 1
    assert fids(root) == expected(1)


def test_old_rows_are_not_written_again_at_each_merge(
    opened: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "MAX_PARTS", 4)
    written: list[int] = []
    encode = _parts.to_parquet

    def count(table: pa.Table) -> bytes:
        written.append(table.num_rows)
        return encode(table)

    monkeypatch.setattr(_parts, "to_parquet", count)
    write_parts(opened, 200)
    # each row once, and about once per doubling; all of them at each merge would be 20 times more
    assert sum(written) < 200 * 9
    assert len(parts(root)) <= 4
    assert fids(root) == expected(200)
