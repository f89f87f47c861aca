"""A storage that one file adds, the one of the documentation, through a whole search."""

import json
import re
from pathlib import Path

import pytest
from tests.storage.conftest import Commands

from mollitune import _files
from mollitune._errors import MollituneError
from mollitune._folder import Folder
from mollitune.analysis import best, load_results
from mollitune.search.cli import main
from mollitune.search.store import register_storage

PAGE = Path(__file__).resolve().parents[2] / "docs" / "storage.md"
ROOT = "toy://searches"


@pytest.fixture
def shelf(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the toy storage keeps its files, here and for commands."""
    (code,) = re.findall(r"```python\n(# toy\.py\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (commands.folder / "toy.py").write_text(code)
    shelf = commands.folder / "shelf"
    variables = {"MOLLITUNE_STORAGE": "toy", "TOY_SHELF": str(shelf)}
    commands.environment.update(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(commands.folder)
    monkeypatch.setattr(_files, "_OPENERS", {})
    return shelf


@pytest.mark.slow
def test_a_search_lives_on_it(
    commands: Commands, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = shelf / "searches" / "own" / "journal"
    commands.run("search", commands.config("own", storage=ROOT))
    assert not (commands.folder / "results").exists()

    results = load_results("own", ROOT)
    assert len(results.trials) == 4
    assert results.trials["status"].isin(["completed", "stopped"]).all()
    assert results.folder is None
    assert "vae" in best(results).sentence
    # a start, reports and an end of each
    events = sum(piece.read_bytes().count(b"\n") for piece in record.iterdir())
    assert events >= len(results.reports) + 2 * 4
    assert sorted(results.list_files("samples")) == sorted(
        path.name for path in (shelf / "searches" / "own" / "samples").iterdir()
    )

    page, exported = commands.folder / "own.html", commands.folder / "best.json"
    for command in (
        ["query", "own", "select count(*) as n from reports"],
        ["best", "own", "--export", str(exported)],
        ["report", "own", "--output", str(page)],
    ):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--results", ROOT])
        assert ended.value.code == 0
    assert capsys.readouterr().out.split()[:2] == ["n", str(len(results.reports))]
    assert json.loads(exported.read_text())
    assert "<html" in page.read_text()


@pytest.mark.usefixtures("shelf")
def test_the_module_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLLITUNE_STORAGE", "nowhere_to_be_found")
    with pytest.raises(MollituneError, match="names the module 'nowhere_to_be_found', which"):
        Folder("toy://searches")


def test_a_scheme_has_no_slashes() -> None:
    with pytest.raises(ValueError, match="without '://', got 'toy://'"):
        register_storage("toy://", _files.resolve)
