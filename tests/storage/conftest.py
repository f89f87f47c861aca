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

import pytest
from pyarrow import fs
from tests.chaos.searches import Searches

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
    "fid": {"samples": 50, "every": 0.1667},
}


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

    def events(self, record: str) -> int:
        """How many events a record holds; those of a second are one object."""
        return sum(data.count(b"\n") for data in self.objects(record).values())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.close()


class Commands(Searches):
    """A folder to type commands in; what they print can be read at once."""

    def __init__(self, folder: Path, short: Path) -> None:
        super().__init__(folder, short, folder / "cache")
        self.environment["PYTHONUNBUFFERED"] = "1"

    def config(self, name: str, **values: Any) -> str:
        return super().config(name, **{**CONFIG, **values})


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
