"""Ray nodes on this machine, each a ``ray start`` with a loopback address of its own."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.chaos.searches import BIN

HEAD, OTHER = "127.0.0.2", "127.0.0.3"
IN_ITS_OWN = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
"""Run a shell that sees mounts of its own; not everybody may."""


class Node:
    """One ``ray start --block`` and all that it starts.

    Args:
        environment: of its processes, with the cluster's token.
        log: file for what it prints.
        options: further options of ``ray start``.
        hidden: a folder that is empty for this node, as if it were another machine.
    """

    def __init__(
        self, environment: dict[str, str], log: Path, *options: str, hidden: Path | None = None
    ) -> None:
        self._log = log
        start = [str(BIN / "ray"), "start", "--block", "--disable-usage-stats", *options]
        if hidden is not None:
            start = [*IN_ITS_OWN, f'mount -t tmpfs none "{hidden}" && exec "$@"', "sh", *start]
        with log.open("w") as file:
            self._process = subprocess.Popen(
                start,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Return when the node is up."""
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in self._log.read_text():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def pids(self) -> set[int]:
        """Processes of this node that are alive."""
        return descendants(self._process.pid)

    def kill(self) -> None:
        """Kill the node as a machine that loses power: everything at once."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(timeout=30)


def descendants(root: int) -> set[int]:
    """Return a process and its descendants, by id."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name before it may hold anything, but the last bracket closes it
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, left = set(), [root]
    while left:
        pid = left.pop()
        found.add(pid)
        left.extend(children.get(pid, []))
    return found


def free_port(host: str) -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
