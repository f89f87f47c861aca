"""How long a newcomer waits: from ``mollitune search folder:PATH`` to the first FID on screen.

The command runs in a pseudo-terminal on unlabelled 28x28 PNG files that no cache knows. Printed
are the seconds to the first FID, and the longest time in which nothing changed on the screen.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import numpy as np
from PIL import Image

FID = re.compile(rb"\d[\d.]* \((?:clean|mollified)\)|FID \d")
SIZE = struct.pack("HHHH", 24, 80, 0, 0)  # lines and columns of the terminal
LIMIT = 300.0  # seconds after which the command is given up


def draw(folder: Path, count: int) -> None:
    """Write grey images of one soft blob each, which a small model learns in part."""
    rng, grid = np.random.default_rng(0), np.mgrid[:28, :28]
    for number in range(count):
        centre, width = rng.uniform(8, 20, (2, 1, 1)), rng.uniform(2, 6)
        blob = 255 * np.exp(-((grid - centre) ** 2).sum(0) / (2 * width**2))
        Image.fromarray(blob.astype(np.uint8)).save(folder / f"{number:05d}.png")


def watch(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, float]:
    """Run a command in a terminal until it shows a FID; return the seconds and the longest gap."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, SIZE)
    start = last = time.monotonic()
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=folder, env=environment
    )
    os.close(terminal)
    gap, shown = 0.0, b""
    try:
        while time.monotonic() - start < LIMIT:
            ready, _, _ = select.select([screen], [], [], 1.0)
            if not ready:
                continue
            new, now = os.read(screen, 65536), time.monotonic()
            gap, last, shown = max(gap, now - last), now, shown + new
            if FID.search(shown):
                return now - start, gap
        raise SystemExit(f"no FID within {LIMIT:g} s; shown was:\n{shown.decode()}")
    except OSError:
        raise SystemExit(f"ended without a FID; shown was:\n{shown.decode()}") from None
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the terminal is closed at the end of the command
            while os.read(screen, 65536):
                pass
        process.wait()
        os.close(screen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--from", dest="source", type=Path, help="a folder of your own images")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = options.source or folder / "images"
        if options.source is None:
            images.mkdir()
            draw(images, options.images)
        environment = {**os.environ, "MOLLITUNE_CACHE": str(folder / "cache"), "NO_COLOR": "1"}
        command = [sys.executable, "-m", "mollitune.search.cli", "search", f"folder:{images}"]
        seconds, gap = watch(command, {**environment, "TERM": "xterm"}, folder)
    print(f"first FID after {seconds:.1f} s; longest time without output {gap:.1f} s")


if __name__ == "__main__":
    main()
