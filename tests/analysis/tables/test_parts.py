"""Reading while the search writes: listings go stale and files vanish."""

import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs
from tests.analysis.conftest import PARAMS, FakeTrial

from mollitune._errors import MollituneError
from mollitune._folder import Folder
from mollitune.analysis import load_results
from mollitune.analysis.tables.parts import read_table
from mollitune.schedules import build
from mollitune.search.store import parts as _parts
from mollitune.search.store.schema import part_names
from mollitune.search.store.writer import Store


class MeddlingFileSystem(fs.LocalFileSystem):  # type: ignore[misc]
    """Lets something happen right before files are opened, or changes a listing."""

    before_open: Callable[[], None] | None = None
    change: Callable[[list[fs.FileInfo]], list[fs.FileInfo]] | None = None

    def open_input_file(self, path: str) -> pa.NativeFile:
        happen, self.before_open = self.before_open, None
        if happen is not None:
            happen()
        return super().open_input_file(path)

    def get_file_info(self, where: object) -> list[fs.FileInfo]:
        found = super().get_file_info(where)
        change, self.change = self.change, None
        return found if change is None else change(found)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_parts, "MAX_PARTS", 4)
    return tmp_path / "search"


TRIAL = FakeTrial(0, build("vanilla"), 30.0)


def write(store: Store, count: int) -> None:
    """Write ``count`` parts of one row each."""
    for i in range(count):
        store.report({**TRIAL.report(0.2), "step": i})
        store.flush()


def count_rows(filesystem: fs.FileSystem, folder: Path) -> int:
    rows = read_table(Folder(folder, filesystem), "reports", sleep=lambda _: None)
    return 0 if rows is None else len(rows)


def test_parts_merged_after_the_listing(folder: Path) -> None:
    store = Store.open(str(folder), PARAMS)
    write(store, 4)
    filesystem = MeddlingFileSystem()
    filesystem.before_open = lambda: write(store, 5)
    assert count_rows(filesystem, folder) == 5
    assert len(list((folder / "reports").iterdir())) == 1


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_parts_merged_during_the_listing(folder: Path, kept: int) -> None:
    """The listing holds only some old parts and misses the merged one."""
    store = Store.open(str(folder), PARAMS)
    write(store, 4)
    filesystem = MeddlingFileSystem()

    def change(found: list[fs.FileInfo]) -> list[fs.FileInfo]:
        write(store, 5)
        ordered = sorted(found, key=lambda info: info.base_name)
        return ordered[len(ordered) - kept :]

    filesystem.change = change
    assert count_rows(filesystem, folder) == 5


def test_part_that_is_gone_for_good_is_an_error(folder: Path) -> None:
    store = Store.open(str(folder), PARAMS)
    write(store, 3)
    names = part_names(path.name for path in (folder / "reports").iterdir())
    (folder / "reports" / names[1]).unlink()
    waits: list[float] = []
    with pytest.raises(MollituneError, match=r"cannot read .*reports: part files are missing"):
        read_table(Folder(folder), "reports", sleep=waits.append)
    assert waits == sorted(waits)
    assert 1 < sum(waits) < 5


def test_trials_replaced_while_they_are_read(folder: Path) -> None:
    store = Store.open(str(folder), PARAMS)
    store.trial({**TRIAL.row(), "status": "running"})
    store.flush()
    filesystem = MeddlingFileSystem()

    def finish() -> None:
        store.trial(TRIAL.row())
        store.flush()

    filesystem.before_open = finish
    rows = read_table(Folder(folder, filesystem), "trials")
    assert rows is not None
    assert rows.column("status").to_pylist() == ["completed"]


def test_reader_beside_a_busy_writer_sees_a_growing_prefix(folder: Path) -> None:
    """No read may fail, miss a row that an earlier one saw, or show one twice."""
    store = Store.open(str(folder), PARAMS)
    write(store, 1)
    total, failure = 60, []

    def work() -> None:
        try:
            for i in range(1, total):
                store.report({**TRIAL.report(0.2), "step": i})
                store.trial({**TRIAL.row(), "step": i})
                store.flush()
        except BaseException as error:
            failure.append(error)
            raise

    writer = threading.Thread(target=work)
    writer.start()
    seen = 0
    while writer.is_alive() or seen < total:
        steps = load_results(folder).reports["step"].tolist()
        assert steps == list(range(len(steps)))
        assert len(steps) >= seen
        seen = len(steps)
        assert not failure
    writer.join()
    assert seen == total
