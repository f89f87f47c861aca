"""``mollitune report --watch`` through its real entry point."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.analysis.conftest import METADATA, PARAMS, TRIALS

from mollitune.search.cli import main
from mollitune.search.store.writer import Store, create_search_folder


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search that runs, in the folder where the command is typed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the command adds its folder to it
    location = create_search_folder("results", "fake")
    with Store.open(location, PARAMS) as store:
        store.write_metadata({**METADATA, "status": "running"})
        TRIALS[0].write(store)
    return Path(location)


def test_it_ends_with_the_search(search: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(str(search), PARAMS) as store:
        store.write_metadata({**METADATA, "status": "finished"})
    with pytest.raises(SystemExit) as ended:
        main(["report", "fake", "--watch"])
    assert ended.value.code == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"{search.absolute()}/report.html, written again every 10 s; stop with Ctrl-C"
    assert last == "fake has ended"
    assert "data-reload" not in Path(search, "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_it_follows_a_search_until_it_is_told_to_stop(search: Path) -> None:
    command = [sys.executable, "-m", "mollitune.search.cli", "report", "fake", "--watch"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        # where the tests run in the background of a script, children would not hear it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        assert "written again every 10 s" in process.stdout.readline()
        page = Path(search, "report.html").read_text(encoding="utf-8")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert '<body data-reload="10">' in page
    assert (process.returncode, rest) == (130, "")


def test_a_bad_time_is_refused(search: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for every in ("0.5", "soon"):
        with pytest.raises(SystemExit) as ended:
            main(["report", "fake", "--watch", "--every", every])
        assert ended.value.code == 2
        assert "--every" in capsys.readouterr().err
    assert not Path(search, "report.html").exists()
