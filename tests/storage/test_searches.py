"""Real searches on storages that fail: an S3 server on loopback, and a small disk."""

import contextlib
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.chaos.searches import assert_same_tables
from tests.storage.conftest import (
    BUCKET,
    KEY,
    S3,
    SECRET,
    Commands,
    kill,
    read_until,
    wait_for,
)

from mollitune.analysis import Results, load_results
from mollitune.search.cli import main
from mollitune.search.store.schema import KEYS

pytestmark = pytest.mark.slow
ROOT = f"s3://{BUCKET}/searches"
# `make chaos` takes 30
OUTAGE_SECONDS = float(os.environ.get("MOLLITUNE_OUTAGE_SECONDS", "1"))


@pytest.fixture(scope="module")
def on_s3(commands: Commands, s3: S3) -> Commands:
    commands.environment.update(s3.environment)
    return commands


@pytest.fixture(scope="module")
def whole(on_s3: Commands) -> str:
    """What a search prints that nothing disturbs."""
    return on_s3.run("search", on_s3.config("whole", storage=ROOT))


Load = Callable[[str], Results]


@pytest.fixture
def load(on_s3: Commands, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Load:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MOLLITUNE_CACHE", on_s3.environment["MOLLITUNE_CACHE"])
    return lambda name: load_results(name, ROOT)


def test_everything_of_a_search_lies_in_the_bucket(
    on_s3: Commands, whole: str, s3: S3, load: Load
) -> None:
    names = s3.objects("searches/whole")
    assert {name.partition("/")[0] for name in names} == {
        *("reports", "decisions", "trials", "samples", "journal", "search.json")
    }
    assert sum(name.startswith("samples/") for name in names) == 5
    results = load("whole")
    assert results.trials["status"].tolist() == ["completed"] * 4
    assert results.metadata["status"] == "finished"
    assert len(results.reports) == 32
    assert not (on_s3.folder / "results").exists()


def test_a_search_that_is_killed_and_then_without_its_server_loses_nothing(
    on_s3: Commands, whole: str, s3: S3, load: Load
) -> None:
    process = on_s3.start("search", on_s3.config("hurt", storage=ROOT))
    wait_for(process, lambda: s3.events("searches/hurt/journal") >= 5)
    kill(process)
    before = s3.events("searches/hurt/journal")
    assert before < s3.events("searches/whole/journal")

    process = on_s3.start("resume", "hurt", "--results", ROOT)
    wait_for(process, lambda: s3.events("searches/hurt/journal") >= before + 2)
    s3.tell("stop")
    said = read_until(process, "trying again")
    assert "the storage does not answer or is full" in said
    time.sleep(OUTAGE_SECONDS)
    s3.tell("start")
    read_until(process, "the storage is back after")
    process.communicate(timeout=200)
    assert process.returncode == 0
    assert_same_tables(load("hurt"), load("whole"))
    for table in KEYS:
        parts = [
            pq.read_table(io.BytesIO(data)).select(KEYS[table]).to_pandas()
            for name, data in s3.objects(f"searches/hurt/{table}").items()
            if name.endswith(".parquet")
        ]
        assert sum(map(len, parts)) == len(getattr(load("whole"), table))


def test_a_search_is_confirmed_where_it_lies(
    on_s3: Commands, s3: S3, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search that the test above has hurt; a second time it is known to be confirmed."""
    command = ["confirm", "hurt", "--top", "1", "--seeds", "2", "--samples", "60"]
    on_s3.run(*command, "--results", ROOT)
    objects = s3.objects("searches/hurt")
    (entry,) = json.loads(objects["verdict.json"])["verdicts"]
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command, "--results", ROOT])
    assert entry["sentence"] in capsys.readouterr().out
    trials = load("hurt").trials
    assert (trials["stage"] == "confirm").sum() == 6
    assert json.loads(objects["confirm/1.json"])["status"] == "finished"
    # a start, two reports or more, and an end of each
    assert s3.events("searches/hurt/confirm/1") >= 24


def test_credentials_are_in_no_file_and_in_no_message(on_s3: Commands, whole: str, s3: S3) -> None:
    files = {**s3.objects("searches")}
    for path in on_s3.folder.rglob("*"):
        if path.is_file():
            files[str(path)] = path.read_bytes()
    assert len(files) > 40
    files["printed"] = whole.encode()
    assert not [name for name, data in files.items() if SECRET.encode() in data]
    assert not [name for name, data in files.items() if KEY.encode() in data]


@pytest.mark.usefixtures("load")
@pytest.mark.parametrize("place", ["storage", "results", "--results"])
def test_credentials_in_the_uri_are_refused(
    on_s3: Commands, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    uri = f"s3://{KEY}:{SECRET}@{BUCKET}/uri"
    path = on_s3.folder / on_s3.config("uri", **({} if place == "--results" else {place: uri}))
    search = place != "--results"
    said = refused(
        capsys, ["search", str(path)] if search else ["query", "x", "select 1", place, uri]
    )
    path.unlink()
    assert "holds credentials" in said
    assert "AWS_SECRET_ACCESS_KEY" in said
    assert SECRET not in said
    assert KEY not in said


@pytest.mark.usefixtures("load")
def test_a_bucket_that_is_not_there(on_s3: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    path = on_s3.folder / on_s3.config("nowhere", storage="s3://no-such-bucket/searches")
    assert "Bucket 'no-such-bucket' not found" in refused(capsys, ["search", str(path)])


def refused(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    """Return the one line and nothing else with which a command is refused."""
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_ends_a_search_in_order_and_it_goes_on_with_space(
    on_s3: Commands, whole: str, load: Load, disk: Path
) -> None:
    on_s3.environment["MOLLITUNE_STORAGE_WAIT"] = "1"
    record = disk / "full" / "journal" / "events.jsonl"

    def events() -> int:
        return record.read_bytes().count(b"\n") if record.exists() else 0

    # A checkpoint that did not fit would be removed again, and the search could end in its room.
    values = {"results": str(disk), "resources": {"checkpoint_seconds": 1e6}}
    process = on_s3.start("search", on_s3.config("full", **values))
    wait_for(process, lambda: events() >= 5)
    process.send_signal(signal.SIGSTOP)  # so that it writes nothing before the disk is full
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 2, said
    assert "trying again for up to 1 s" in said
    assert said.splitlines()[-1].startswith("mollitune: cannot write ")
    assert said.endswith(f"resume with: mollitune resume {disk}/full\n")
    assert not [path for path in disk.rglob("*") if path.name.endswith(".tmp")]

    kept = load_results(disk / "full")  # every file is whole; rows may be in the record only
    assert len(kept.reports) < len(load("whole").reports)
    assert kept.trials["trial"].tolist()[0] == 0
    before = record.read_bytes()
    assert before.endswith(b"\n")
    (disk / "filler").unlink()
    on_s3.run("resume", str(disk / "full"))
    assert record.read_bytes().startswith(before)
    assert_same_tables(load_results(disk / "full"), load("whole"))
