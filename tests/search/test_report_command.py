"""``mollitune report --watch`` and ``query`` through their real entry point."""

import json
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


def asked(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["query", "fake", *args])
    return capsys.readouterr().out


def test_a_query_is_answered_for_people_and_for_programs(
    search: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "select trial, 'nan' as word, null as a, 'nan'::double as b, final_fid from trials"
    assert asked(capsys, sql).split() == ["trial", "word", "a", "b", "final_fid", "0", "nan", "30"]
    assert asked(capsys, sql, "--csv") == "trial,word,a,b,final_fid\n0,nan,,,30.0\n"
    (row,) = json.loads(asked(capsys, sql, "--json"))
    assert row == {"trial": 0, "word": "nan", "a": None, "b": None, "final_fid": 30.0}
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["query", "fake", sql, "--csv", "--json"])
    assert "give one of them" in capsys.readouterr().err


def test_a_wide_answer_is_not_cropped_in_a_terminal(
    search: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, no colours
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out = asked(capsys, "select *, 'long ' || repeat('word ', 30) as said from trials")
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("word") == 30
    columns = asked(capsys, "from trials", "--csv").partition("\n")[0].split(",")
    assert len(columns) > 20
    assert {*columns} <= {*out.split()}
