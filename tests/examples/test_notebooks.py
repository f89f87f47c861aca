"""The notebooks run from their first cell to their last, and show what they promise."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from mollitune.schedules import load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
pytestmark = pytest.mark.slow


def run(name: str, folder: Path, **smaller: str) -> str:
    """Run a notebook in a folder, with other numbers in place of its own; return all it shows."""
    text = (EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8")
    for old, new in smaller.items():
        assert old in text
        text = text.replace(old, new)
    notebook = nbformat.reads(text, as_version=4)
    with tempfile.TemporaryDirectory(prefix="n-", ignore_cleanup_errors=True) as short:
        environment = {**os.environ, "TMPDIR": short, "HOME": str(folder)}
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}})
        client.execute(env=environment)
    return json.dumps(list(shown(notebook.cells)))


def shown(cells: list[Any]) -> Iterator[Any]:
    for cell in cells:
        for output in cell.get("outputs", ()):
            yield output.get("text") or output.get("data")


def test_a_model_of_a_notebook_from_a_cell_to_a_verdict(tmp_path: Path) -> None:
    told = run(
        "own_model_notebook", tmp_path, **{"steps=300": "steps=40", "trials=12": "trials=8"}
    )
    assert "8/8 trials" in told  # the panel of the search, drawn anew in its cell
    assert "small-vae</b>: finished" in told
    assert "On __main__:SmallVAE, " in told
    assert "application/vnd.plotly.v1+json" in told
    assert load(tmp_path / "small-vae.json").family in ("vanilla", "sigmoid", "linear")


def test_a_training_of_ones_own_asks_and_tells(tmp_path: Path) -> None:
    told = run("ask_and_tell", tmp_path, **{"steps=60": "steps=8"})
    assert "elsewhere</b>: finished" in told
    assert "On maf, " in told
