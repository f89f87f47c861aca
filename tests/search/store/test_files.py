import errno
import json
import os
import stat
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest
from pyarrow import fs
from tests.search.store.conftest import (
    PARAMS,
    report,
    row,
    steps,
    write_parts,
)

from mollitune._errors import MollituneError
from mollitune.search.store import parts as _parts
from mollitune.search.store.schema import SCHEMA_VERSION, part_names
from mollitune.search.store.writer import Store, StoreError, create_search_folder


def test_metadata_is_stamped(opened: Store, root: Path) -> None:
    opened.write_metadata({"name": "a", "format": "wrong"})
    written = json.loads((root / "search.json").read_text())
    assert written == {"format": "mollitune.search", "schema_version": SCHEMA_VERSION, "name": "a"}


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
def test_metadata_must_be_json(opened: Store, value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        opened.write_metadata({"a": value})


def test_files_are_written_whole_and_can_be_replaced(opened: Store, root: Path) -> None:
    assert not opened.exists("samples/0001.png")
    opened.write_file("samples/0001.png", b"old")
    opened.write_file("samples/0001.png", b"new")
    assert opened.exists("samples/0001.png")
    assert opened.exists("samples")
    assert (root / "samples" / "0001.png").read_bytes() == b"new"
    assert [path.name for path in (root / "samples").iterdir()] == ["0001.png"]


def test_files_have_the_rights_of_the_umask(opened: Store, root: Path) -> None:
    before = os.umask(0o027)
    try:
        opened.write_file("a.txt", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "."])
def test_files_stay_inside(opened: Store, name: str) -> None:
    with pytest.raises(ValueError, match="must be a path inside the search's folder"):
        opened.write_file(name, b"")
    with pytest.raises(ValueError, match="must be a path inside the search's folder"):
        opened.exists(name)


def test_new_folder_is_never_an_old_one(tmp_path: Path) -> None:
    root = str(tmp_path / "deep" / "results")
    assert create_search_folder(root, "a-1.b_C") == f"{root}/a-1.b_C"
    with pytest.raises(StoreError, match=r"'a-1.b_C' exists already .*move that folder away"):
        create_search_folder(root, "a-1.b_C")


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "a b", "a\n", "ä", "a\\b"])
def test_illegal_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match=r"illegal search name .*letters, digits"):
        create_search_folder(str(tmp_path), name)
    assert list(tmp_path.iterdir()) == []


def test_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(StoreError, match=r"cannot create .*not a folder.*may write"):
        create_search_folder(str(tmp_path / "results"), "a")


def test_root_that_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=r"cannot create .*Permission denied"):
        create_search_folder(str(tmp_path), "a")


def test_uri_of_a_local_folder(tmp_path: Path) -> None:
    location = create_search_folder(tmp_path.as_uri(), "a")
    with Store.open(location, PARAMS) as opened:
        opened.report(report(0))
    assert steps(tmp_path / "a") == [(0, 0)]
    with pytest.raises(StoreError, match="exists already"):
        create_search_folder(str(tmp_path), "a")


def test_unknown_uri() -> None:
    with pytest.raises(MollituneError, match="cannot open the location 'gopher://x/y'"):
        Store.open("gopher://x/y", PARAMS)


def test_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but a local disk is written by single puts, which appear whole."""
    monkeypatch.setattr(_parts, "MAX_PARTS", 3)
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    filesystem = fs.PyFileSystem(fs.FSSpecHandler(memory))
    opened = Store(filesystem, "bucket/search", PARAMS)
    write_parts(opened, 4)
    opened.trial(row("trials"))
    opened.write_metadata({})
    opened.close()
    found = sorted(path.rpartition("bucket/search/")[2] for path in memory.find("bucket"))
    assert found[1:] == ["search.json", "trials/trials.parquet"]
    assert part_names([found[0].removeprefix("reports/")])
