"""Small searches through the command line, and an S3 server of their own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from pyarrow import fs

from mollitune.analysis import Results
from mollitune.search.schema import KEYS

BIN = Path(sys.executable).parent / "mollitune"
KEY, SECRET = "AKIDOFTHETESTS", "neitherInAFileNorInATable"
BUCKET = "mollitune-tests"
CONFIG: dict[str, Any] = {
    "model": "vae",
    "families": ["linear"],
    "steps": 24,
    "trials": 4,
    "workers": 1,
    "seed": 3,
    "resources": {"checkpoint_seconds": 0},
    "fid": {"samples": 50, "every": 0.1667, "budget": None},
}
OF_A_MOMENT = ["search", "time", "start", "end", "step_seconds", "eval_seconds", "attempt"]


class S3:
    """A server with one bucket; it can be away for a while."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.endpoint = f"127.0.0.1:{self._read()}"
        self.environment = {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://{self.endpoint}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.filesystem = fs.S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            endpoint_override=self.endpoint,
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        self.filesystem.create_dir(BUCKET)

    def tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._read() == "done"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def objects(self, prefix: str) -> dict[str, bytes]:
        selector = fs.FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True)
        found = {}
        for info in self.filesystem.get_file_info(selector):
            if info.is_file:
                with self.filesystem.open_input_stream(info.path) as stream:
                    found[info.path.removeprefix(f"{BUCKET}/{prefix}/")] = stream.read()
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.close()


class Commands:
    """A folder to type commands in."""

    def __init__(self, folder: Path, short: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "MOLLITUNE_CACHE": str(folder / "cache"),
            "TMPDIR": str(short),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BIN), *args],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, code: int = 0) -> str:
        process = self.start(*args)
        text, _ = process.communicate(timeout=300)
        assert process.returncode == code, text
        return text

    def config(self, name: str, **place: str) -> str:
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"name": name, **CONFIG, **place}))
        return path.name


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    # a short path: Ray's sockets lie below it, and their paths must not exceed 107 bytes
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as short:
        yield Commands(tmp_path_factory.mktemp("commands"), Path(short))


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait until something is so while a command runs."""
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read_until(process: subprocess.Popen[str], part: str) -> str:
    """Return what a command prints up to the line that holds a part."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if part in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def assert_same_tables(found: Results, wanted: Results) -> None:
    """All rows and columns but those of the moment, with exact values."""
    for name in KEYS:
        pd.testing.assert_frame_equal(
            _comparable(found, name), _comparable(wanted, name), check_exact=True
        )


def _comparable(results: Results, name: str) -> pd.DataFrame:
    frame = getattr(results, name).drop(columns=OF_A_MOMENT, errors="ignore")
    ordered: pd.DataFrame = frame.sort_values(list(KEYS[name])[1:]).reset_index(drop=True)
    return ordered
