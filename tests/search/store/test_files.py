import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest
from pyarrow import fs
from tests.search.store.conftest import PARAMS, report, row, steps, write_parts

from mollitune._errors import MollituneError
from mollitune._folder import Folder, StorageError
from mollitune.search.store import parts as _parts
from mollitune.search.store.schema import SCHEMA_VERSION, part_names
from mollitune.search.store.writer import Store, StoreError, create_search_folder


def on_memory() -> Folder:
    """A folder on a storage that, like an object store, is not local."""
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    memory.store.clear()
    return Folder("bucket/search", fs.PyFileSystem(fs.FSSpecHandler(memory)))


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_folder_and_its_files(tmp_path: Path, kind: str) -> None:
    folder = Folder(tmp_path / "deep" / "a") if kind == "local" else on_memory()
    assert folder.is_local == (kind == "local")
    assert folder.create()
    assert not folder.create()
    folder.delete("samples")  # which is not there
    assert not folder.list("samples")
    assert folder.read("samples/1.png") is None
    for content in (b"old", b"new"):
        folder.write("samples/1.png", content)
    assert folder.read("samples/1.png") == b"new"
    assert [(info.base_name, info.size) for info in folder.list("samples")] == [("1.png", 3)]
    folder.write("samples/2.png", b"")
    folder.delete("samples/1.png")
    assert [info.base_name for info in folder.list("samples")] == ["2.png"]
    for name in ("samples", ""):
        folder.delete(name)
        assert folder.info(name).type == fs.FileType.NotFound


def test_only_a_local_file_grows(tmp_path: Path) -> None:
    folder = pickle.loads(pickle.dumps(Folder(tmp_path)))
    for line in (b"1\n", b"2\n"):
        folder.append("record/events", line)
    assert folder.read("record/events") == b"1\n2\n"
    with pytest.raises(ValueError, match="is not local"):
        on_memory().append("record/events", b"")


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000])
def test_what_is_no_object_in_json(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(MollituneError, match=r"a\.json is corrupt \(.*\); restore it from a copy"):
        Folder(tmp_path).read_json("a.json")


def test_what_the_storage_refuses_has_one_form(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    folder, below = Folder(tmp_path), Folder(tmp_path / "file" / "below")
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: folder.read("folder"), r"^cannot read .*/folder: .*; check the path and"),
        (lambda: folder.write("file/a", b""), r"^cannot write .*/file/a: .*; free some space"),
        (lambda: folder.append("file/a", b""), r"^cannot write .*/file/a: .*; free some space"),
        (lambda: below.create(), r"^cannot create .*/below: .* is not a folder; choose a results"),
        (lambda: Folder("/proc/self").delete("stat"), r"^cannot delete .*/stat: .*; mend the"),
    ]
    for refused, message in cases:
        with pytest.raises(StorageError, match=message) as caught:
            refused()
        assert isinstance(caught.value, OSError)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "."])
def test_files_stay_inside(opened: Store, name: str) -> None:
    with pytest.raises(ValueError, match="must be a path inside the folder"):
        opened.write_file(name, b"")


def test_files_have_the_rights_of_the_umask(opened: Store, root: Path) -> None:
    before = os.umask(0o027)
    try:
        opened.write_file("a.txt", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a.txt").stat().st_mode) == 0o640


def test_metadata_is_stamped_and_json(opened: Store, root: Path) -> None:
    opened.write_metadata({"name": "a", "format": "wrong"})
    written = json.loads((root / "search.json").read_text())
    assert written == {"format": "mollitune.search", "schema_version": SCHEMA_VERSION, "name": "a"}
    for value in (float("nan"), {1, 2}):
        with pytest.raises(ValueError, match="JSON"):
            opened.write_metadata({"a": value})


def test_a_new_search_is_never_an_old_one(tmp_path: Path) -> None:
    location = create_search_folder(tmp_path.as_uri(), "a-1.b_C")
    with Store.open(location, PARAMS) as opened:
        opened.report(report(0))
    assert steps(tmp_path / "a-1.b_C") == [(0, 0)]
    with pytest.raises(StoreError, match=r"'a-1.b_C' exists already .*move that folder away"):
        create_search_folder(str(tmp_path), "a-1.b_C")
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "lease.json").touch()
    assert create_search_folder(str(tmp_path), "killed") == f"{tmp_path}/killed"


@pytest.mark.parametrize("name", ["", ".a", "a/b", "a b", "a\n", "ä"])
def test_illegal_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match=r"illegal search name .*letters, digits"):
        create_search_folder(str(tmp_path), name)
    assert list(tmp_path.iterdir()) == []


def test_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but a local disk is written by single puts, which appear whole."""
    monkeypatch.setattr(_parts, "MAX_PARTS", 3)
    folder = on_memory()
    with Store(folder, PARAMS) as opened:
        write_parts(opened, 4)
        opened.trial(row("trials"))
        opened.write_metadata({})
    assert {info.base_name for info in folder.list()} == {"reports", "search.json", "trials"}
    assert [info.base_name for info in folder.list("trials")] == ["trials.parquet"]
    (only,) = folder.list("reports")
    assert part_names([only.base_name])
