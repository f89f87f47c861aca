from pathlib import Path

import pytest
from pyarrow import fs

from mollitune import _files
from mollitune.search.store.journal import END, START, Journal, JournalError, time_of


def write(journal: Journal) -> None:
    """Write three events."""
    journal.append(START, 0, config={"seed": 1})
    journal.append(END, 0, outcome="completed", value=0.1 + 0.2, step=3)
    journal.append(END, 1, outcome="failed", value=float("nan"), step=0)


def on_a_shelf(folder: Path) -> _files.Opener:
    """A storage that, like an object store, is not the local file system."""
    shelf = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    return lambda _: (shelf, ".")


def written(folder: Path) -> Path:
    """A record of three events; its file."""
    write(Journal.open(str(folder)))
    return folder / "journal" / "events.jsonl"


@pytest.mark.parametrize("scheme", ["", "own://"])
def test_events_come_back_exactly_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """From lines of a local file, and from the objects of a storage that cannot append."""
    monkeypatch.setattr(_files, "_OPENERS", {"own": on_a_shelf(tmp_path)})
    location = scheme or str(tmp_path)
    write(Journal.open(location))
    events = list(Journal.open(location).take())
    assert [(e["event"], e["trial"]) for e in events] == [(START, 0), (END, 0), (END, 1)]
    assert events[0]["config"] == {"seed": 1}
    assert events[1]["value"] == 0.1 + 0.2
    assert events[2]["value"] != events[2]["value"]
    assert time_of(events[0]) <= time_of(events[2])
    files = ["00000000.json", "00000001.json", "00000002.json"] if scheme else ["events.jsonl"]
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == files
    if scheme:  # a process was interrupted when it had begun the last of them
        (tmp_path / "journal" / files[-1]).write_bytes(b"")
        assert len(Journal.open(location)) == 2


@pytest.mark.parametrize("scheme", ["", "own://"])
def test_what_was_noted_is_written_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(_files, "_OPENERS", {"own": on_a_shelf(tmp_path)})
    journal = Journal.open(location := scheme or str(tmp_path))
    for trial in range(3):
        journal.note(START, trial)
        journal.commit_if_due()  # it was opened this moment
    assert len(Journal.open(location)) == len(journal) == 0
    journal.commit()
    journal.append(END, 0)
    events = [(e["event"], e["trial"]) for e in Journal.open(location).take()]
    assert events == [(START, 0), (START, 1), (START, 2), (END, 0)]
    files = ["00000000.json", "00000003.json"] if scheme else ["events.jsonl"]
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == files
    if scheme:  # a process was interrupted in the middle of the first: its number comes again
        (tmp_path / "journal" / files[1]).unlink()
        path = tmp_path / "journal" / files[0]
        path.write_bytes(path.read_bytes()[:-9])
        write(Journal.open(location))
        assert len(Journal.open(location)) == 3


def test_a_writer_killed_at_any_byte_costs_at_most_the_last_event(tmp_path: Path) -> None:
    path = written(tmp_path)
    data = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        journal = Journal.open(str(tmp_path))
        whole = sum(end <= length for end in ends)
        assert len(journal) == whole
        journal.append(START, 9)
        assert len(Journal.open(str(tmp_path))) == whole + 1


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"event": "start"}', b"\xff\xfe", b""])
def test_damage_in_the_middle_is_not_passed_over(tmp_path: Path, line: bytes) -> None:
    path = written(tmp_path)
    first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, line + b"\n", *rest]))
    with pytest.raises(JournalError, match=r"events.jsonl is damaged: .* is no event; restore"):
        Journal.open(str(tmp_path))


def test_events_are_taken_once_and_without_those_that_came_since(tmp_path: Path) -> None:
    written(tmp_path)
    journal = Journal.open(str(tmp_path))
    journal.append(START, 9)
    taken = journal.take()
    assert [event["trial"] for event in taken] == [0, 0, 1]
    assert len(taken) == 3
    assert list(journal.take()) == []
    assert len(journal) == 4
