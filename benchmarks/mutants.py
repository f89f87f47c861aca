"""Do the tests see a change of the code? Random mutants, each against the tests of its room.

The same mutants are tried on another version of the tree, wherever their functions have moved.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mutation import mutated, mutations

ROOMS = (
    "policy=search/policy:tests/search/policy tests/search/replay",
    "store=search/store:tests/search/store",
    "confirmation=analysis/confirmation:tests/analysis/confirmation",
)
PACKAGES = ["analysis", "models", "schedules", "search"]
LOADED = (
    *("torch", "torchvision", "torch_fidelity.feature_extractor_inceptionv3", "PIL.Image", "yaml"),
    *("pandas", "pyarrow.parquet", "duckdb", "scipy.stats", "optuna", "pydantic", "rich.progress"),
)
SLOWER = 3  # a mutant that takes so many times the processor's time of the clean run hangs
TITLE = "| tree | room | mutants | killed | % |\n|---|---|---|---|---|"

Mutant = dict[str, Any]


class Room(NamedTuple):
    """What is changed, and the tests that should see it; paths below the root."""

    sources: list[str]
    tests: list[str]


def drawable(root: Path, sources: list[str]) -> Iterator[Mutant]:
    """Yield all mutants of some files and folders."""
    for source in (root / source for source in sources):
        for path in [source] if source.is_file() else sorted(source.rglob("*.py")):
            where = str(path.relative_to(root))
            for found in mutations(path):
                yield {"id": found.own, "file": where, "line": found.line, "result": None}


def find(root: Path, wanted: list[Mutant], rooms: dict[str, Room]) -> list[Mutant]:
    """Find mutants of another tree here, first in their rooms; "lost" is the result elsewhere."""
    places: dict[str, list[Mutant]] = {}
    for source in [*(source for room in rooms.values() for source in room.sources), *PACKAGES]:
        for mutant in drawable(root, [source]):
            places.setdefault(json.dumps(mutant["id"]), []).append(mutant)
    lost = {"file": None, "line": None, "result": "lost"}
    found = []
    for old in wanted:
        here, stem = places.get(json.dumps(old["id"]), []), Path(old["file"]).stem
        found.append(
            {**old, **min(here, key=lambda m: Path(m["file"]).stem != stem, default=lost)}
        )
    return found


class Tree:
    """A copy of a checkout in which tests run, each time in a fork of this process."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.copy, self.log, self.kept = folder / "tree", folder / "log", folder / "kept.py"
        left = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis")
        shutil.copytree(root, self.copy, symlinks=True, ignore=left)
        sys.path[:0] = [str(self.copy / "src"), str(self.copy)]
        os.environ |= {"PYTHONPATH": str(self.copy / "src"), "OMP_NUM_THREADS": "1"}
        os.chdir(self.copy)
        for name in LOADED:
            importlib.import_module(name)

    def run(self, tests: list[str], cpu: int, wall: float) -> tuple[int, float]:
        """Run tests; return the exit status, negative out of time, and the processor's seconds."""
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(self._child(tests, cpu))
            finally:
                os._exit(70)
        end = time.monotonic() + wall
        done, status, used = os.wait4(pid, os.WNOHANG)
        while not done and time.monotonic() < end:
            time.sleep(0.05)
            done, status, used = os.wait4(pid, os.WNOHANG)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # and what it left running
        if not done:
            _, status, used = os.wait4(pid, 0)
        return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime

    def _child(self, tests: list[str], cpu: int) -> int:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
        for stream in (1, 2):
            os.dup2(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.dont_write_bytecode = cpu != resource.RLIM_INFINITY
        options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider"]
        return int(pytest.main([*options, *tests]))

    def try_out(self, mutant: Mutant, tests: list[str], limit: tuple[int, float]) -> str:
        """Run tests with one change; first those that are named after its file."""
        path = self.copy / mutant["file"]
        shutil.copy2(path, self.kept)  # with its time, so that its compiled form stays valid
        path.write_text(mutated(path, mutant["id"]))
        own = f"test_{path.stem.strip('_')}.py"
        near = [str(found) for test in tests for found in (self.copy / test).rglob(own)]
        code = self.run(near, *limit)[0] if near else 0
        code = code or self.run(tests, *limit)[0]
        shutil.copy2(self.kept, path)
        return "survived" if code == 0 else "out of time" if code < 0 else "killed"


def measure(root: Path, mutants: list[Mutant], rooms: dict[str, Room], save: Path) -> None:
    """Try all mutants that have no result; save after each."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Tree(root, Path(folder))
        limits: dict[str, tuple[int, float]] = {}
        for name, room in rooms.items():
            began = time.monotonic()
            code, cpu = tree.run(room.tests, resource.RLIM_INFINITY, math.inf)
            wall = time.monotonic() - began
            if code != 0:
                raise SystemExit(f"{name}: its tests fail by themselves\n{tree.log.read_text()}")
            # by the clock only what waits: the machine may have other work
            limits[name] = (math.ceil(SLOWER * cpu) + 5, 4 * SLOWER * wall + 60)
            print(
                f"{name}: {cpu:.0f} s of the processor, {wall:.0f} s, without change", flush=True
            )
        for mutant in mutants:
            if mutant["result"] is None:
                name = mutant["room"]
                mutant["result"] = tree.try_out(mutant, rooms[name].tests, limits[name])
                save.write_text(json.dumps(mutants, indent=1))
                scope, head, _, change, _ = mutant["id"]
                where = f"{mutant['file']}:{mutant['line']} {scope}"
                print(f"{mutant['result']}: {where}: {head[:80]!r}: {change}", flush=True)


def show(title: str, mutants: list[Mutant]) -> None:
    """Print how many were killed, by room and in all."""
    for name in [*dict.fromkeys(mutant["room"] for mutant in mutants), "all"]:
        own = [mutant for mutant in mutants if name in (mutant["room"], "all")]
        killed = sum(mutant["result"] != "survived" for mutant in own)
        print(f"| {title} | {name} | {len(own)} | {killed} | {100 * killed / len(own):.1f} |")


def compare(first: list[Mutant], second: list[Mutant]) -> None:
    """Print the shares of those mutants that have a result on both trees."""
    tried = ("killed", "survived", "out of time")
    both = zip(first, second, strict=True)
    pairs = [(a, b) for a, b in both if a["result"] in tried and b["result"] in tried]
    print(f"{len(first)} drawn, {len(pairs)} tried on both\n\n{TITLE}")
    show("first", [a for a, _ in pairs])
    show("second", [b for _, b in pairs])
    for a, b in pairs:
        if (a["result"] == "survived") != (b["result"] == "survived"):
            print(f"{a['result']}, then {b['result']}: {b['file']}:{b['line']} {b['id']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, nargs="?", default=Path(), help="the checkout")
    parser.add_argument("--room", action="append", help="NAME=SOURCES:TESTS, by spaces")
    parser.add_argument("-n", type=int, default=110, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, default=Path("mutants.json"), help="goes on with it")
    parser.add_argument("--load", type=Path, help="the mutants of another tree's results")
    parser.add_argument("--compare", type=Path, nargs=2, help="two results; run nothing")
    given = parser.parse_args()
    if given.compare:
        compare(*(json.loads(path.read_text()) for path in given.compare))
        return
    root, rooms = given.root.resolve(), {}
    for name, _, both in (text.partition("=") for text in given.room or ROOMS):
        sources, _, tests = both.partition(":")
        rooms[name] = Room(sources.split(), tests.split())
    if given.save.exists():
        mutants = json.loads(given.save.read_text())
    elif given.load:
        mutants = find(root, json.loads(given.load.read_text()), rooms)
    else:
        every = [{"room": n, **m} for n, r in rooms.items() for m in drawable(root, r.sources)]
        mutants = random.Random(given.seed).sample(every, given.n)
    measure(root, mutants, rooms, given.save.resolve())
    print(f"\n{TITLE}")
    show(root.name, [mutant for mutant in mutants if mutant["result"] != "lost"])
    for mutant in mutants:
        if mutant["result"] == "lost":
            print(f"not found: {mutant['id']}")


if __name__ == "__main__":
    main()
