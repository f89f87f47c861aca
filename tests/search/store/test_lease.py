import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mollitune._errors import MollituneError
from mollitune.search.store.lease import Lease


def held(folder: Path, **changes: Any) -> None:
    """A lease of this process, with changes."""
    lease = {
        "token": "other",
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "expires": time.time() + 100,
        **changes,
    }
    (folder / "lease.json").write_text(json.dumps(lease))


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_driver_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    with (
        Lease(str(tmp_path)),
        pytest.raises(MollituneError, match=f"process {os.getpid()} on .*; stop it, or wait"),
        Lease(str(tmp_path)),
    ):
        raise AssertionError("two drivers")
    assert list(tmp_path.iterdir()) == []
    with Lease(str(tmp_path)):
        pass


def test_a_process_of_this_machine_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    held(tmp_path, pid=dead_process())
    with Lease(str(tmp_path)):
        assert json.loads((tmp_path / "lease.json").read_text())["pid"] == os.getpid()


def test_another_machine_holds_it_until_it_expires(tmp_path: Path) -> None:
    held(tmp_path, host="elsewhere", pid=1)
    with pytest.raises(MollituneError, match="process 1 on elsewhere"), Lease(str(tmp_path)):
        pass
    assert json.loads((tmp_path / "lease.json").read_text())["host"] == "elsewhere"
    held(tmp_path, host="elsewhere", pid=1, expires=time.time() - 1)
    with Lease(str(tmp_path)):
        pass


def test_a_driver_that_may_be_gone_is_waited_for(tmp_path: Path) -> None:
    held(tmp_path, host="elsewhere", pid=1, expires=time.time() + 0.5)
    told: list[str] = []
    with Lease(str(tmp_path), say=told.append):
        assert json.loads((tmp_path / "lease.json").read_text())["pid"] == os.getpid()
    assert told == [
        "process 1 on elsewhere held this search last; if it does not show itself within 0 s, the "
        "search goes on here"
    ]

    def show_itself(text: str) -> None:
        held(tmp_path, host="elsewhere", pid=1, expires=time.time() + 60)

    held(tmp_path, host="elsewhere", pid=1, expires=time.time() + 0.5)
    with (
        pytest.raises(MollituneError, match="process 1 on elsewhere; stop it"),
        Lease(str(tmp_path), say=show_itself),
    ):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"token": 1}'])
def test_half_a_lease_holds_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "lease.json").write_text(content)
    with Lease(str(tmp_path)):
        pass


def test_it_is_renewed_while_it_is_held(tmp_path: Path) -> None:
    with Lease(str(tmp_path), seconds=0.4):
        first = json.loads((tmp_path / "lease.json").read_text())["expires"]
        deadline = time.monotonic() + 20
        while json.loads((tmp_path / "lease.json").read_text())["expires"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.02)
