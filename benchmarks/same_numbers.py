"""Do two versions of the code give the same numbers? Drives their command lines, and compares.

``record`` searches, extends, confirms, replays and kills a search with one version; ``compare``
reads what two versions left; ``cross`` lets a version go on with what another one left.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

CONFIG = """
name: whole
dataset: digits
model: [{name: vae, steps: 60}, {name: realnvp, steps: 12}]
families: [linear, cosine, sigmoid, blur]
trials: 24
workers: 1
stopping: {policy: race, within: late_cut, audit: 0.3}
resources: {checkpoint_seconds: 0}
fid: {samples: 100, every: 0.1667}
"""
CLI = "mollitune.search.cli"
MORE = ("--trials", "2")
KILLED_IN = 10  # number of the trial, or of one soon after it
TRIES = 5  # of a command, where the machine is too busy for Ray to start within its 30 s
REPLAYED = ("digits-vae", "digits-realnvp")
KEYS = {"reports": ["trial", "step"], "decisions": ["trial", "step", "rung"], "trials": ["trial"]}
CONFIRMED = 1_000_000  # from here on trials are those of confirmations
OF_CLOCK = "(time, step_seconds, eval_seconds)"
QUERY = f"SELECT COLUMNS(* EXCLUDE {OF_CLOCK})::VARCHAR FROM reports ORDER BY ALL"
MOMENT = re.compile("search|time|start|end|attempt|created|versions|machine|.*_seconds")
CLOCK = re.compile(r"\b\d+:\d\d(:\d\d)?\b")

Line = tuple[str, int, bool]


class Version:
    """Runs one version of the code in a folder, with a cache of its own."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.python = folder.resolve(), python
        own = {"MOLLITUNE_CACHE": str(self.folder / "cache"), "COLUMNS": "200"}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **own}
        self.where: Any = {"cwd": self.folder, "env": environment, "text": True}
        code = "import mollitune, pathlib; print(pathlib.Path(mollitune.__file__).parents[2])"
        self.benchmarks = Path(self._python("-c", code).strip()) / "benchmarks"

    def run(self, name: str, *args: str) -> None:
        """Run Python and keep what it prints in NAME.txt, unless that is there already."""
        path, began = self.folder / f"{name}.txt", time.monotonic()
        if not path.exists():
            path.write_text(self._python(*args).replace(str(self.folder), "OUT"))
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)

    def cli(self, *args: str, name: str = "") -> None:
        """Run the command line."""
        self.run(name or args[0], "-m", CLI, *args)

    def kill_in_a_trial(self, config: str, name: str) -> None:
        """Start a search and end it without warning where a trial has left a checkpoint."""
        checkpoints = self.folder / "results" / name / "checkpoints"
        with (self.folder / f"{name}.log").open("w") as log:
            command = [self.python, "-m", CLI, "search", config, f"name={name}"]
            process = subprocess.Popen(command, **self.where, stdout=log, stderr=log)
            while process.poll() is None and not _late(checkpoints):
                time.sleep(0.005)
            process.kill()
            process.wait()
        time.sleep(10)  # until the workers have noticed
        if not _late(checkpoints):
            raise SystemExit(f"{name} was not killed within a trial, see {log.name}; record again")

    def _python(self, *args: str) -> str:
        for _ in range(TRIES):
            done = subprocess.run([self.python, *args], **self.where, capture_output=True)
            if "timed out during startup" not in done.stderr:
                break
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(args)} ended with {done.returncode}:\n{done.stderr}")
        return str(done.stdout)


def _late(checkpoints: Path) -> bool:
    return any(int(path.name.partition("-")[0]) >= KILLED_IN for path in checkpoints.glob("*.pt"))


def record(out: Path, python: str) -> None:
    """Leave tables and outputs of one version in a folder; go on with it if it was cut off."""
    out.mkdir(parents=True, exist_ok=True)
    version, results = Version(out, python), out / "results"
    (out / "same.yaml").write_text(CONFIG)
    version.cli("search", "same.yaml")
    if not (results / "longer").exists():
        shutil.copytree(results / "whole", results / "longer")
    version.cli("extend", "longer", *MORE)
    version.cli("confirm", "whole", "--top", "2", "--seeds", "3", "--samples", "100")
    _read(version)
    for name in REPLAYED:
        _described(version.benchmarks / "curves" / name, results / name)
        version.cli("replay", name, "--orders", "2", name=f"replay_{name}")
    version.run("verdict", str(version.benchmarks / "verdict.py"), "--searches", "20")
    if not (results / "killed").exists():
        version.kill_in_a_trial("same.yaml", "killed")


def _described(recorded: Path, copy: Path) -> None:
    """Copy recorded tables, with all that the description of a search has to have."""
    if copy.exists():
        return
    shutil.copytree(recorded, copy)
    path = copy / "search.json"
    known = json.loads(path.read_text())
    own = {"config": {"trials": 1, **known["config"]}, "extractor": {"sha256": ""}}
    dataset = {"sha256": "", **known["dataset"]}
    path.write_text(json.dumps({**known, **own, "dataset": dataset, "evaluation": {}}))


def _read(version: Version) -> None:
    version.cli("query", "whole", QUERY)
    for model in ("vae", "realnvp"):
        version.cli("best", "whole", "--model", model, name=f"best_{model}")


def compare(a: Path, b: Path) -> list[Line]:
    """Compare all that two versions left."""
    lines: list[Line] = []
    for name in ("whole", "longer"):
        lines += _folders(a / "results" / name, b / "results" / name, name)
    for path in sorted(a.glob("*.txt")):
        first, second = _text(path), _text(b / path.name)
        lines.append((path.stem, len(first), first == second))
    return lines


def cross(old: Path, out: Path, python: str) -> list[Line]:
    """Read, extend and resume a copy of what another version left; ``old`` stays as it is."""
    shutil.copytree(old, out, ignore=shutil.ignore_patterns("*.txt"))
    version, page = Version(out, python), out / "page.html"
    _read(version)
    lines: list[Line] = []
    for path in sorted(out.glob("*.txt")):
        text = _text(path)
        lines.append((f"{path.stem}, read", len(text), text == _text(old / path.name)))
    version.cli("report", "whole", "--output", str(page))
    lines.append(("report, written", page.read_text().count("\n"), page.stat().st_size > 10**6))
    version.cli("extend", "whole", *MORE)
    version.cli("resume", "killed")
    own, wanted = out / "results", old / "results"
    lines += _tables(own / "whole", wanted / "longer", "extended", CONFIRMED)
    lines += _tables(own / "killed", wanted / "whole", "resumed", CONFIRMED)
    return lines


def _folders(a: Path, b: Path, what: str) -> Iterator[Line]:
    yield from _tables(a, b, what)
    paths = [[p for p in f.rglob("*.json") if p.name != "lease.json"] for f in (a, b)]
    first, second = ({p.name: _plain(json.loads(p.read_text())) for p in own} for own in paths)
    for name in sorted(first.keys() | second.keys()):
        yield f"{what}: {name}", len(first.get(name, ())), first.get(name) == second.get(name)
    samples = [{p.name: p.read_bytes() for p in (f / "samples").iterdir()} for f in (a, b)]
    yield f"{what}: samples", len(samples[0]), samples[0] == samples[1]


def _plain(value: Any) -> Any:
    """A JSON value without what tells of its time."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not MOMENT.fullmatch(key)}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _tables(a: Path, b: Path, what: str, below: float = float("inf")) -> Iterator[Line]:
    """Compare tables, floats bit for bit, of the trials below a number."""
    for name in KEYS:
        first, second = _table(a, name, below), _table(b, name, below)
        yield f"{what}: {name}", len(first), len(first) > 0 and first.equals(second)


def _table(folder: Path, name: str, below: float) -> pd.DataFrame:
    parts = [pd.read_parquet(path) for path in sorted((folder / name).glob("*.parquet"))]
    frame = pd.concat(parts).drop_duplicates(KEYS[name], keep="last")
    frame = frame.loc[frame["trial"] < below, [c for c in frame if not MOMENT.fullmatch(str(c))]]
    return frame.sort_values(KEYS[name]).reset_index(drop=True)


def _text(path: Path) -> list[str]:
    return CLOCK.sub("TIME", path.read_text()).splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("record", "compare", "cross"))
    parser.add_argument("folders", nargs="+", type=Path, help="OUT; A B; OLD and OUT")
    parser.add_argument("--python", default=sys.executable, help="whose mollitune is run")
    given = parser.parse_args()
    first, *others = given.folders
    if given.command == "record":
        return record(first, given.python)
    crosses = given.command == "cross"
    lines = cross(first, others[0], given.python) if crosses else compare(first, others[0])
    print("| what | rows | same |\n|---|---|---|")
    for what, rows, same in lines:
        print(f"| {what} | {rows} | {'yes' if same else '**no**'} |")
    raise SystemExit(0 if all(same for *_, same in lines) else 1)


if __name__ == "__main__":
    main()
