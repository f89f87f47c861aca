"""A place to run searches in through the command line, as a user does."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mollitune.analysis import Results, load_results
from mollitune.search.metrics.extractors.extractor import Extractor

BIN = Path(sys.executable).parent
TINY = {
    "name": "tiny",
    "model": "vae",
    "families": ["linear", "sigmoid"],
    "steps": 6,
    "trials": 6,
    "workers": 1,
    "fid": {"samples": 50, "every": 0.3334},
}


class Place:
    """A folder to type commands in, with a home and a temporary folder of its own."""

    def __init__(self, folder: Path, short: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.temporary = short
        self.environment = {
            **os.environ,
            "HOME": str(self.home),
            "TMPDIR": str(short),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BIN / "mollitune"), *args],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def config(self, values: dict[str, object]) -> str:
        name = f"{values['name']}.yaml"
        (self.folder / name).write_text(yaml.safe_dump(values))
        return name

    def run(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*args)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, out + err
        return subprocess.CompletedProcess(args, code, out, err)

    def results(self, name: str) -> Results:
        return load_results(name, self.folder / "results")

    def left_behind(self) -> list[str]:
        """Temporary files, and processes that still work in the temporary folder."""
        found = [str(path) for path in self.temporary.iterdir()]
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes()
            except OSError:  # it has ended
                continue
            if str(self.temporary).encode() + b"/" in line:
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
        return found


def wait(process: "subprocess.Popen[Any]", seconds: float, until: Callable[[], bool]) -> None:
    """Wait for something that a process does."""
    deadline = time.monotonic() + seconds
    while not until():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, lenet: Extractor) -> Iterator[Place]:
    # a short path: Ray's sockets lie below it, and their paths must not exceed 107 bytes
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as short:
        yield Place(tmp_path_factory.mktemp("place"), Path(short))
