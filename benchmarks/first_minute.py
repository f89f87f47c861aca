"""How long a newcomer waits: from ``mollitune search folder:PATH`` to the first FID on screen.

The command runs in a pseudo-terminal on unlabelled 28x28 PNG files that no cache knows. Printed
are the seconds to the first FID, and the longest time in which nothing changed on the screen.
With ``--step`` it is the first training step of a tiny search on digits, some times, all caches
warm, beside the seconds that Python takes to import torch and Ray Tune, which driver and workers
all do.
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
STAMPED = """\
import os
import time
from pathlib import Path

from mollitune.models import VAE


class Stamped(VAE):
    def loss(self, x):
        stamp = Path(__file__).with_name("stamp")
        if str(os.getpid()) != os.environ["STAMPED_DRIVER"] and not stamp.exists():
            stamp.write_text(str(time.time()))
        return super().loss(x)
"""
"""A model that writes down when a worker asks for its loss first."""
TINY = """\
name: tiny
dataset: digits
model: {name: "stamped:Stamped", hparams: {net: mlp, latent: 8, hidden: 128, sigma: analytic}}
steps: 200
trials: 4
workers: 2
"""


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


def first_step(folder: Path) -> float:
    """Return the seconds from the command to the first training step of a tiny search."""
    (folder / "stamped.py").write_text(STAMPED)
    (folder / "tiny.yaml").write_text(TINY)
    # by way of a shell, so that the command's own process is known beforehand
    search = f"{sys.executable} -m mollitune.search.cli search tiny.yaml"
    command = ["sh", "-c", f"STAMPED_DRIVER=$$ exec {search}"]
    start = time.time()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return float((folder / "stamp").read_text()) - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, metavar="TIMES", help="the first training step")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--from", dest="source", type=Path, help="a folder of your own images")
    options = parser.parse_args()
    for _ in range(options.step or 0):
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", "import torch, ray.tune"], check=True)
        imports = time.monotonic() - start
        with tempfile.TemporaryDirectory() as temporary:
            step = first_step(Path(temporary))
        print(f"first training step after {step:.1f} s; imports {imports:.1f} s", flush=True)
    if options.step:
        return
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
