"""The command for a GPU, tried on a processor to its last line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

GPU = Path(__file__).parents[1] / "benchmarks/gpu.py"


@pytest.mark.slow
def test_every_part_runs_and_what_was_measured_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "gpu.jsonl"

    def run(*options: str) -> str:
        command = [sys.executable, str(GPU), *options]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    dry = ["--device", "cpu", "--scale", ".0004", "--data", "digits", "--minutes", "60"]
    run(*dry, "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    parts = ["machine", "tests", "evidence", "speed", "peers", "overhead", "fid", "search"]
    assert list(dict.fromkeys(row["part"] for row in rows)) == parts
    texts = [row["text"] for row in rows]
    bad = {row["part"] for row in rows if row["text"].startswith(("ended with", "cut off"))}
    assert bad <= {"peers"}  # which are not installed everywhere
    assert "killed a worker: True; status 0" in texts
    table = run("--table", str(out))
    assert table == out.with_suffix(".md").read_text()
    for text in ("lenet: fitted prior", "as one: times faster"):
        assert text in table
    before = out.read_bytes()
    assert run(*dry, "--out", str(out)).endswith(table)
    assert out.read_bytes() == before
