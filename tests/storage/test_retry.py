import errno
import json
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mollitune._errors import MollituneError
from mollitune._folder import Folder
from mollitune.search.store.journal import START, Journal, JournalError
from mollitune.search.store.lease import LEASE_FILE, Lease
from mollitune.search.store.retry import Retry, wait_seconds
from mollitune.search.store.writer import Store
from mollitune.search.training.checkpoints import Checkpoints

FULL = OSError(errno.ENOSPC, "No space left on device")


def failing(times: int) -> Callable[[], str]:
    """A write that succeeds after some failures."""
    left = [FULL] * times

    def write() -> str:
        if left:
            raise left.pop()
        return "written"

    return write


def test_a_write_is_tried_again_and_its_two_messages_are_one_line_each() -> None:
    said: list[str] = []
    assert Retry(60.0, said.append)(failing(0)) == "written"
    assert said == []
    assert Retry(60.0, said.append)(failing(2)) == "written"
    first, last = said
    assert "No space left on device; trying again for up to 60 s (MOLLITUNE_STORAGE_WAIT)" in first
    assert last.startswith("the storage is back after ")
    assert "\n" not in first + last


def test_after_giving_up_every_write_has_one_try() -> None:
    retry = Retry(0.1)
    with pytest.raises(OSError, match="No space left"):
        retry(failing(9))
    said: list[str] = []
    retry._say = said.append
    with pytest.raises(OSError, match="No space left"):
        retry(failing(1))
    assert retry(failing(0)) == "written"
    assert said == []


def test_a_signal_ends_the_waiting() -> None:
    came = threading.Event()
    retry = Retry(1e6, lambda _: came.set())
    retry.interrupted = came.is_set
    with pytest.raises(OSError, match="No space left"):
        retry(failing(10**6))


def test_a_copy_does_not_wait() -> None:
    copy = pickle.loads(pickle.dumps(Retry(1e6, print)))
    with pytest.raises(OSError, match="No space left"):
        copy(failing(1))


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
def test_a_wait_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MOLLITUNE_STORAGE_WAIT", text)
    with pytest.raises(MollituneError, match=f"MOLLITUNE_STORAGE_WAIT is '{text}'; give seconds"):
        wait_seconds()


def mend(path: Path) -> Callable[[str], None]:
    """What a user does on the message: takes the file out of the way."""
    return lambda text: path.unlink() if "trying again" in text else None


def test_record_and_tables_wait_for_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    for name in ("journal", "samples"):
        (tmp_path / name).write_text("in the way")
    journal = Journal.open(str(tmp_path), Retry(60.0, mend(tmp_path / "journal")))
    journal.append(START, 0)
    assert len(Journal.open(str(tmp_path))) == 1
    store = Store.open(str(tmp_path), {}, Retry(60.0, mend(tmp_path / "samples")))
    store.write_file("samples/1.png", b"picture")
    assert (tmp_path / "samples" / "1.png").read_bytes() == b"picture"


def test_a_full_disk_is_an_error_that_names_the_record_and_leaves_it(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "events.jsonl").symlink_to("/dev/full")
    journal = Journal(Folder(tmp_path), [], Retry(0.1))
    with pytest.raises(JournalError, match=r"cannot write .*journal.*; free some"):
        journal.append(START, 0)
    assert len(journal) == 0


def test_checkpoints_are_read_when_the_storage_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Checkpoints(str(tmp_path), 0).save({"step": 3})
    again = Checkpoints(str(tmp_path), 0, Retry(60.0))
    away, read = failing(1), again._folder.read
    monkeypatch.setattr(again._folder, "read", lambda name: (away(), read(name))[1])
    assert [state["step"] for state in again.load(torch.device("cpu"))] == [3]


def test_a_driver_whose_lease_was_taken_writes_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    with Lease(str(tmp_path), seconds=0.2) as lease:
        journal = Journal.open(str(tmp_path), Retry(60.0, lease=lease))
        journal.append(START, 0)
        other = {"token": "other", "pid": 1, "host": "elsewhere", "expires": time.time() + 60}
        while lease._thread.is_alive():  # it may have been about to write its own once more
            (tmp_path / LEASE_FILE).write_text(json.dumps(other))
            lease._thread.join(timeout=0.5)
        with pytest.raises(JournalError, match=r"another driver works on .*on elsewhere"):
            journal.append(START, 1)
    assert len(Journal.open(str(tmp_path))) == 1
    assert json.loads((tmp_path / LEASE_FILE).read_text()) == other
