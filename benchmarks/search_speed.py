"""Trials per hour of a search, beside the plain way to run the same trials on Ray Tune.

Each repetition runs `mollitune search` on examples/digits.yaml, then the very trials that it chose
in the plain way, and again with one of our levers after the other (see plain_way.py). Each is a
command of its own that does all from its start: what counts is its wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from plain_way import VARIANTS

from mollitune.analysis import load_results

HERE = Path(__file__).parent
CONFIG = HERE.parent / "examples" / "digits.yaml"
OURS = "mollitune search"


@dataclass(frozen=True)
class Taken:
    """What a command took and gave.

    Arguments:
        trials: Trials that ended.
        command: Seconds of the whole command.
        seconds: Seconds of its trials, without data and Ray's start.
        threads: Threads of torch in a trial.
        fid: Geometric mean of the last FIDs, to see that the same was trained.
    """

    trials: int
    command: float
    seconds: float
    threads: int
    fid: float

    @property
    def per_hour(self) -> float:
        """Trials per hour of the command."""
        return 3600 * self.trials / self.command


def search(root: Path, number: int, trials: int, share: float) -> tuple[Path, Taken]:
    """Run a search with a share of the training steps; return its folder, too."""
    name = f"speed-{number}"
    models = yaml.safe_load(CONFIG.read_text())["model"]
    scaled = [{**model, "steps": max(6, round(share * model["steps"]))} for model in models]
    overrides = [
        *(f"name={name}", f"results={root}", f"trials={trials}", f"seed={number}", "workers=2"),
        f"model={json.dumps(scaled)}",
    ]
    program = str(Path(sys.executable).with_name("mollitune"))
    seconds, _ = _run([program, "search", str(CONFIG), *overrides])
    results = load_results(str(root / name))
    fids = results.reports.groupby("trial")["fid"].last()
    metadata = results.metadata
    taken = Taken(
        len(fids), seconds, metadata["elapsed_seconds"], 1, statistics.geometric_mean(fids)
    )
    return root / name, taken


def repeated(folder: Path, variant: str) -> Taken:
    """Run the trials of a search in one of the other ways."""
    program = [sys.executable, "-W", "ignore", str(HERE / "plain_way.py")]
    seconds, output = _run([*program, str(folder), "--variant", variant])
    return Taken(command=seconds, **json.loads(output.splitlines()[-1]))


def _run(command: list[str]) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start, done.stdout


def measure(options: Any, root: Path) -> dict[str, list[Taken]]:
    """Run all ways in turn; the order of those beside the search alternates."""
    found: dict[str, list[Taken]] = {name: [] for name in (*options.variants, OURS)}
    for number in range(options.repeats):
        folder, taken = search(root, number, options.trials, options.steps_share)
        found[OURS].append(taken)
        for variant in options.variants[:: 1 if number % 2 == 0 else -1]:
            found[variant].append(repeated(folder, variant))
    return found


def print_table(found: dict[str, list[Taken]]) -> None:
    """Print a row per way, each with what it gives over the one before and over the first."""
    print(
        "| times faster than the first row | than the row before | way | trials per hour | whole "
        "command, s | trials alone, s | threads | mean FID |"
    )
    print("|---|---|---|---|---|---|---|---|")
    names = list(found)
    for before, name in zip([names[0], *names], names, strict=False):
        runs = found[name]
        cells = [
            f"**{spread(_ratios(runs, found[names[0]]), '.2f')}**",
            spread(_ratios(runs, found[before]), ".2f"),
            name,
            spread([taken.per_hour for taken in runs], ".0f"),
            spread([taken.command for taken in runs], ".0f"),
            spread([taken.seconds for taken in runs], ".0f"),
            str(runs[0].threads),
            spread([taken.fid for taken in runs], ".1f"),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def _ratios(runs: list[Taken], others: list[Taken]) -> list[float]:
    """Return how many times faster runs are than others of the same repetition."""
    return [a.per_hour / b.per_hour for a, b in zip(runs, others, strict=True)]


def spread(values: list[float], digits: str) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{digits}} ({low:{digits}}-{high:{digits}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1 repetition, a tenth of the steps")
    parser.add_argument("--trials", type=int, default=24, help="at least 6; digits.yaml has 24")
    parser.add_argument("--repeats", type=int, help="repetitions; 3, quick: 1")
    parser.add_argument("--steps-share", type=float, help="of the steps; 1, quick: 0.1")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    options.repeats = options.repeats or (1 if options.quick else 3)
    options.steps_share = options.steps_share or (0.1 if options.quick else 1.0)
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, torch "
        f"{torch.__version__}; digits.yaml, {options.trials} trials, 2 at once, "
        f"{options.steps_share:g} of its steps; {options.repeats} repetition(s), median "
        "(min-max)\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        print_table(measure(options, Path(folder)))


if __name__ == "__main__":
    main()
