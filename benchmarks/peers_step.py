"""One training step of this library's models beside the same step built on their peers.

The authors' Glow, out of normflows, and pythae's VAEs; same sizes, batch, optimiser and fp32;
theirs eager, ours too or compiled (`resources.compile`). Each side lives in a process of its own,
so that its peak of memory is its own. They take turns, and the ratio is taken within each turn, so
that both see the machine in the same state.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import peer_models
import torch
from peer_models import FAMILY, SHAPE, Built
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """One comparison.

    Arguments:
        name: In the table.
        needs: The peer's package.
        ours: Builds our step on a batch, compiled or not.
        theirs: Builds the peer's.
        steps: How many steps one turn times.
    """

    name: str
    needs: str
    ours: Callable[[Tensor, bool], Built]
    theirs: Callable[[Tensor], Built]
    steps: int


CASES = {
    "glow": Case(
        "glow: L = 3, K = 20, hidden 512",
        "normflows",
        peer_models.our_glow,
        peer_models.peer_glow,
        1,
    ),
    **{
        name: Case(
            f"{name}: quick preset, the same networks",
            "pythae",
            partial(peer_models.our_vae, name),
            partial(peer_models.peer_vae, name),
            2 if name in ("iwae", "hvae") else 5,
        )
        for name in FAMILY
    },
    "vae_cifar": Case(
        "vae: pythae's networks for CIFAR-10",
        "pythae",
        peer_models.our_vae_in_their_networks,
        peer_models.peer_vae_in_their_networks,
        1,
    ),
}

_BUILT: list[Built] = []  # of this process
_BEFORE: list[float] = []  # MiB of this process before its model was built
_DEVICE: list[torch.device] = []  # of this process


class Side:
    """One side of a comparison, in a fresh process.

    Arguments:
        case: Name of the case.
        which: ``ours``, ``compiled`` (ours, too) or ``theirs``.
        batch: Images.
        threads: Threads of torch.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, case: str, which: str, batch: int, threads: int, device: str) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.parameters: int = self._call(_prepare, case, which, batch, threads, device)

    def seconds(self, steps: int) -> float:
        """Return the mean seconds of some steps in a row."""
        found: float = self._call(_seconds, steps)
        return found

    def close(self) -> float:
        """End the process; return the MiB that model, optimiser and steps took at most."""
        grown: float = self._call(_grown)
        self._pool.shutdown()
        return grown

    def _call(self, function: Callable[..., Any], *arguments: object) -> Any:
        return self._pool.submit(function, *arguments).result()


def _prepare(case: str, which: str, batch: int, threads: int, device: str) -> int:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    _DEVICE.append(torch.device(device))
    x = torch.rand(batch, *SHAPE, device=_DEVICE[0]) * 2 - 1
    if which != "compiled":
        _build(case, which, x[:2]).step()  # loads the code: what is measured next is the model's
    _BEFORE.append(_memory_now())
    _BUILT.append(_build(case, which, x))
    _seconds(2)  # warm, and with the optimiser's state
    return sum(parameter.numel() for parameter in _BUILT[0].model.parameters())


def _build(case: str, which: str, x: Tensor) -> Built:
    if which == "theirs":
        return CASES[case].theirs(x)
    return CASES[case].ours(x, which == "compiled")


def _seconds(steps: int) -> float:
    _wait()
    start = time.perf_counter()
    for _ in range(steps):
        _BUILT[0].step()
    _wait()
    return (time.perf_counter() - start) / steps


def _wait() -> None:
    if _DEVICE[0].type == "cuda":
        torch.cuda.synchronize()


def _memory_now() -> float:
    """Return the MiB that are taken, on the GPU if that is the device; forget the peak so far."""
    if _DEVICE[0].type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _grown() -> float:
    cuda = _DEVICE[0].type == "cuda"
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else _memory("VmHWM")
    return peak - _BEFORE[0]


def _memory(field: str) -> float:
    """Return a memory field of Linux's ``/proc/self/status``, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise OSError(f"no {field} in /proc/self/status; this benchmark needs Linux")


def compare(
    name: str, batch: int, threads: int, repetitions: int, compiled: bool, device: str
) -> str:
    """Return a row of Markdown; without memory if ours was compiled, which needs more than it."""
    case = CASES[name]
    sides = ("compiled" if compiled else "ours", "theirs")
    ours, theirs = (Side(name, which, batch, threads, device) for which in sides)
    mine: list[float] = []
    other: list[float] = []
    for repetition in range(repetitions):
        turns = [(ours, mine), (theirs, other)]
        for side, taken in turns if repetition % 2 == 0 else reversed(turns):
            taken.append(side.seconds(case.steps))
    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    memory = [ours.close(), theirs.close()]
    sizes = [f"{memory[1] / memory[0]:.2f}", *(f"{value:.0f}" for value in memory)]
    parameters = [f"{side.parameters / 1e6:.2f}" for side in (ours, theirs)]
    cells = [
        f"**{spread(ratios, '.2f')}**",
        case.name,
        *(spread([1e3 * s for s in taken], ".0f") for taken in (mine, other)),
        *(["-"] * 3 if compiled else sizes),
        *parameters,
    ]
    return f"| {' | '.join(cells)} |"


def spread(values: list[float], digits: str) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{digits}} ({low:{digits}}-{high:{digits}})"


def check_installed(names: list[str]) -> None:
    """End with one line if a peer is missing."""
    missing = sorted({CASES[name].needs for name in names if not find_spec(CASES[name].needs)})
    if missing:
        sys.exit(
            f"peers_step.py needs {', '.join(missing)}, not installed here; get it by: make peers"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 repetitions instead of 11")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="some cases")
    parser.add_argument("--batch", type=int, default=64, help="images per step")
    parser.add_argument("--compile", action="store_true", help="our step, as resources.compile")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    check_installed(options.only)
    repetitions = 3 if options.quick else 11
    peers = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in sorted({CASES[case].needs for case in options.only})
    )
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, load "
        f"{os.getloadavg()[0]:.1f}, {options.threads} thread(s), Python "
        f"{platform.python_version()}, torch {torch.__version__}, {peers}, {options.device}, "
        f"fp32, ours {'compiled' if options.compile else 'eager'}, theirs eager; "
        f"3x32x32, batch {options.batch}; {repetitions} repetitions, median (min-max)\n"
    )
    print(
        "| times faster | model | ours, ms | the peer's, ms | times less memory | ours: grows by, "
        "MiB | the peer's | parameters of ours, M | the peer's |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.only:
        row = compare(
            name, options.batch, options.threads, repetitions, options.compile, options.device
        )
        print(row, flush=True)


if __name__ == "__main__":
    main()
