import os
from pathlib import Path
from typing import Any

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

from mollitune._folder import Folder
from mollitune.search.store import parts as _parts
from mollitune.search.store.schema import table_schema
from mollitune.search.store.writer import Store


def test_many_parts_become_one(opened: Store, root: Path) -> None:
    write_parts(opened, _parts.MAX_PARTS)
    assert len(parts(root)) == _parts.MAX_PARTS
    write_parts(opened, 1, first=_parts.MAX_PARTS)
    assert len(parts(root)) == 1
    assert fids(root) == expected(_parts.MAX_PARTS + 1)


def test_merged_file_holds_each_row_once_with_the_newest_value(
    opened: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "MAX_PARTS", 2)
    for fid in (1.0, 2.0, 3.0):
        opened.report(report(0, fid=fid))
        opened.flush()
    (only,) = parts(root)
    assert pq.read_table(only, partitioning=None)["fid"].to_pylist() == [3.0]


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
    dying = Store(Folder(root, filesystem), PARAMS)
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


def test_old_rows_are_not_written_again_at_each_merge(
    opened: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "MAX_PARTS", 4)
    written: list[int] = []
    merge = _parts.PartFolder._merged

    def count(folder: _parts.PartFolder, names: list[str]) -> tuple[bytes, int]:
        data, rows = merge(folder, names)
        written.append(rows)
        return data, rows

    monkeypatch.setattr(_parts.PartFolder, "_merged", count)
    write_parts(opened, 200)
    # about once per doubling; all rows at each merge would be 25 times each
    assert sum(written) < 200 * 6
    assert len(parts(root)) <= 4
    assert fids(root) == expected(200)
