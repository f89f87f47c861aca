"""A folder with a small finished search, and commands in it that must be refused."""

import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.analysis.conftest import METADATA, PARAMS, TRIALS

from mollitune.search.cli import main
from mollitune.search.store.writer import Store, create_search_folder

CONFIG = "name: run1\nmodel: vae\nfamilies: [linear]\ntrials: 2\nsteps: 4\n"
SENTINEL = "executed"
MAX_LINE = 2000  # characters of a message: no input is repeated at length

Refused = Callable[..., str]


class Payload:
    """Unpickling it makes a folder in the working folder: the sign that code was executed."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (SENTINEL,)


def payload() -> bytes:
    return pickle.dumps(Payload())


def tree(folder: Path) -> dict[str, object]:
    """Every path below a folder with what it holds; nothing that stands there is followed."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = path.readlink()
        else:
            found[str(path)] = path.read_bytes() if path.is_file() else None
    return found


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a finished search, to copy."""
    root = tmp_path_factory.mktemp("finished")
    with Store.open(create_search_folder(str(root), "fake"), PARAMS) as store:
        store.write_metadata({**METADATA, "name": "fake"})
        for trial in TRIALS:
            trial.write(store)
    return root


@pytest.fixture
def work(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the command is typed, with a config and a search's results."""
    work = tmp_path / "work"
    shutil.copytree(finished, work / "results")
    (work / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the command adds its folder to it
    monkeypatch.setenv("MOLLITUNE_CACHE", str(work / "cache"))
    return work


@pytest.fixture
def refused(work: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """A function that runs a command, checks that it is refused, and returns its line."""

    def call(*args: str) -> str:
        before = tree(work.parent)
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        out, err = capsys.readouterr()
        assert ended.value.code == 2
        assert err.startswith("mollitune: ")
        assert err.endswith("\n")
        assert len(err.splitlines()) == 1
        assert len(err) < MAX_LINE
        assert "Traceback" not in out + err
        assert SENTINEL not in {path.name for path in work.rglob("*")}
        assert tree(work.parent) == before
        return err

    return call
