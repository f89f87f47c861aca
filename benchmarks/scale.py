"""How large a search may be: the driver's work for many trials and many reports, without training.

Everything is the real thing but the trainings, whose results are invented. Each case runs in a
process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console

from mollitune.analysis import Results, leaderboard, load_results, write_report
from mollitune.analysis.surrogate import ShapeSurrogate, expected_fid
from mollitune.schedules import families
from mollitune.search.budget import Plan
from mollitune.search.cli import main as command_line
from mollitune.search.config import SearchConfig
from mollitune.search.dataset import split
from mollitune.search.extractors import cache_folder, prepare_extractor
from mollitune.search.fid import Reference
from mollitune.search.journal import END, REPORT, START, Journal
from mollitune.search.policy.likeness import Likeness
from mollitune.search.policy.planner import plan_cost
from mollitune.search.policy.source import SpaceSource
from mollitune.search.progress import ProgressView
from mollitune.search.recorder import Recorder
from mollitune.search.recovery import fold
from mollitune.search.sampler import ScheduleSearcher, arms, outcome_of, proposer, source
from mollitune.search.sources import load_images
from mollitune.search.space import FamilySpace, parameter_types
from mollitune.search.stop_all import StopAll
from mollitune.search.stopping import PolicyScheduler
from mollitune.search.store import Store, create_search_folder
from mollitune.search.trainable import Shared

SIDE = 8  # of digits
STEPS = 1_000_000
PARTS = 10  # of a case that are timed each for itself, to see whether the work grows
SQL = "select family, count(*) as runs, min(fid) as lowest from reports group by family"


@dataclass
class Stopwatch:
    """Mean times of equal parts of a job, and its memory.

    Arguments:
        total: Things to do.
        parts: Parts of them.
    """

    total: int
    parts: int = PARTS
    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def each(self) -> Iterator[int]:
        """Count the things to do, taking the time."""
        self.memory.append(resident())
        begun, done = time.perf_counter(), 0
        for part in range(1, self.parts + 1):
            end = self.total * part // self.parts
            yield from range(done, end)
            now = time.perf_counter()
            self.seconds.append((now - begun) / max(1, end - done))
            self.memory.append(resident())
            begun, done = now, end

    @property
    def cells(self) -> list[str]:
        """Milliseconds per thing: median, first, last and slowest part; then kB of growth each.

        The first part is left out of the growth: it also loads code.
        """
        ms = [1e3 * s for s in self.seconds]
        grown = 1e3 * (self.memory[-1] - self.memory[1]) / (self.total * (1 - 1 / self.parts))
        shown = (statistics.median(ms), ms[0], ms[-1], max(ms), grown)
        return [f"{value:.3g}" for value in shown]


def resident(peak: bool = False) -> float:
    """Return the memory of this process, now or at most so far, in MB (Linux)."""
    key = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1e3


def footprint(folder: Path) -> tuple[int, float]:
    """Return the number of files below a folder and their MB."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files) / 1e6


class Driver:
    """The driver's own objects, put together as the launcher does, without Ray.

    Arguments:
        root: Folder of results.
        trials: Trials of the search.
        reports: Evaluations of each.
        sampler: ``random``, ``shape`` ...
        policy: The stopping policy.
    """

    def __init__(
        self, root: Path, trials: int, reports: int, sampler: str = "random", policy: str = "none"
    ) -> None:
        self.reports = reports
        self.config = SearchConfig.model_validate(
            {
                "name": "large",
                "model": ["vae"],
                "trials": trials,
                "steps": STEPS,
                "sampler": sampler,
                "stopping": {"policy": policy},
                "results": str(root),
            }
        )
        self.folder = root / "large"
        if not self.folder.exists():
            create_search_folder(str(root), "large")
        self._rng = random.Random(0)
        self.open()

    def open(self) -> None:
        """Open record and tables, and begin with a policy that knows nothing."""
        splits = split(load_images("digits"))
        extractor = prepare_extractor("lenet", None, splits.train, cache_folder())
        reference = Reference.measure(extractor, splits.validation, "validation", cache_folder())
        plans = {"vae": Plan(1 / self.reports, 500)}
        shared = Shared(self.config, splits, reference, str(self.folder), plans)
        self.journal, stop = Journal.open(str(self.folder)), StopAll()
        kinds = parameter_types(f.family for f in self.config.families)
        self.store = Store.open(str(self.folder), kinds)
        like = {"vae": Likeness("vae", 0)}
        stopping = self.config.stopping
        self.scheduler = PolicyScheduler(stopping, 0, like, self.journal, stop)
        self.searcher = ScheduleSearcher(
            proposer(self.config, SIDE), self.config.trials, self.journal, stop
        )
        view = ProgressView(self.config.trials, Console(file=io.StringIO()))
        sources: list[Any] = [self.searcher, self.scheduler]
        self.recorder = Recorder(self.store, shared, sources, view, self.journal, stop)

    def result(self, number: int) -> dict[str, Any]:
        """Invent the next result of a trial that is always clean at its end."""
        progress = number / self.reports
        fid = 40 + 10 * self._rng.random()
        return {
            **{"step": round(STEPS * progress), "progress": progress, "level": 0.0},
            **{"phase": "clean", "fid": fid, "bpd": 3.5 + fid / 100, "train_loss": fid / 50},
            **dict.fromkeys(("kid", "precision", "recall", "fid_infinity", "probe_fid")),
            **{"probe_steps": 0, "non_finite_losses": 0, "non_finite_samples": 0},
            **{"step_seconds": 0.0123, "eval_seconds": 4.56, "failure": None, "device": "cpu"},
        }

    def run(self, number: int) -> None:
        """Hand out, report and end one trial, as Ray's event loop would."""
        name = str(number)
        config = self.searcher.suggest(name)
        assert isinstance(config, dict)
        trial: Any = SimpleNamespace(config=config, last_result=None)
        self.recorder.on_trial_start(0, [], trial)
        for evaluation in range(1, self.reports + 1):
            trial.last_result = result = self.result(evaluation)
            if evaluation < self.reports:
                self.scheduler.on_trial_result(None, trial, result)
            else:
                self.scheduler.on_trial_complete(None, trial, result)
                self.searcher.on_trial_complete(name, result)
            self.recorder.on_trial_result(0, [], trial, result)
            self.recorder.on_step_end(0, [])
        self.recorder.on_trial_complete(0, [], trial)

    def write(self, number: int, schedule: dict[str, Any]) -> Iterator[None]:
        """Write one trial to the tables alone; yields after each report."""
        run = {"trial": number, "configuration": number, "repeat": 0, "seed": 0}
        config = {**run, "model": "vae", "schedule": schedule}
        event = {"trial": number, "time": datetime.now(UTC).isoformat()}
        self.recorder.fold({**event, "event": START, "config": config})
        for evaluation in range(1, self.reports + 1):
            result = self.result(evaluation)
            self.recorder.fold({**event, "event": REPORT, "result": result})
            yield
        end = {"outcome": outcome_of(result), "value": result["fid"], "step": STEPS}
        self.recorder.fold({**event, "event": END, **end})


def drawn(count: int) -> list[Any]:
    """Return that many schedules of all families."""
    spaces = {n: FamilySpace(n) for n in families() if n != "vanilla"}
    draws = SpaceSource(spaces, SIDE, 0)
    found: list[Any] = []
    while len(found) < count:
        found += draws.candidates()
    return found[:count]


def store_case(root: Path, trials: int, reports: int) -> str:
    """Write tables; return a row of Markdown."""
    driver = Driver(root, trials, reports)
    schedules = [schedule.to_dict() for schedule in drawn(trials)]
    watch = Stopwatch(trials * reports)
    rows = (row for i in range(trials) for row in driver.write(i, schedules[i]))
    for _ in watch.each():
        next(rows)
    next(rows, None)
    most = footprint(driver.folder)[0]
    driver.recorder.close()
    files, size = footprint(driver.folder)
    cells = [f"{trials:,} x {reports:,}", f"{max(most, files)}", f"{size:.1f}", *watch.cells]
    return _row([*cells, f"{resident(peak=True):.0f}"])


def driver_case(root: Path, trials: int, reports: int, sampler: str, policy: str) -> str:
    """Run the driver's objects, then fold their record as `resume` does; a row of Markdown."""
    driver = Driver(root, trials, reports, sampler, policy)
    watch = Stopwatch(trials)
    for number in watch.each():
        driver.run(number)
    driver.recorder.close()
    peak = resident(peak=True)
    start = time.perf_counter()
    driver.open()
    fold(driver.journal, driver.searcher, driver.scheduler, driver.recorder)
    again = time.perf_counter() - start
    files, size = footprint(driver.folder)
    cells = [f"{policy}, {sampler}", f"{trials:,} x {reports:,}", f"{files}", f"{size:.1f}"]
    return _row([*cells, *watch.cells, f"{peak:.0f}", f"{again:.1f}"])


def reading_case(root: Path) -> list[str]:
    """Time what readers do with the tables of a case before; rows of Markdown."""
    folder = root / "large"

    def board() -> Results:
        results = load_results(folder)
        leaderboard(results)
        return results

    def query() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            command_line(["query", str(folder), SQL])

    loaded, rows = repeated(lambda: load_results(folder)), []
    results = load_results(folder)
    counts = f"{results.tables['trials'].num_rows:,} x {results.tables['reports'].num_rows:,}"
    rows.append(_row([counts, "load_results", *loaded]))
    rows.append(_row([counts, "load_results + leaderboard", *repeated(board)]))
    rows.append(_row([counts, "mollitune query", *repeated(_quietly(query))]))
    return rows


def report_case(root: Path) -> str:
    """Time the report of a case before; a row of Markdown."""
    folder = root / "large"
    cells = repeated(lambda: write_report(load_results(folder)), 3)
    size = (folder / "report.html").stat().st_size / 1e6
    count = load_results(folder).tables["trials"].num_rows
    return _row([f"{count:,} trials, {size:.1f} MB", "load_results + write_report", *cells])


def proposal_case(runs: int) -> str:
    """Time one race score and one proposal of the shape sampler; a row of Markdown."""
    schedules = drawn(runs + 256)
    rng = np.random.default_rng(0)
    values = [[float(math.exp(v))] for v in rng.normal(4, 0.2, runs)]
    seeds = [[0]] * runs
    score = repeated(lambda: expected_fid(schedules[:runs], values, seeds), 3)

    def propose() -> None:
        ShapeSurrogate(schedules[:runs], values, seeds).at(schedules[runs:]).improvement(40.0)

    return _row([f"{runs:,}", *score[:1], *repeated(propose, 3)])


def planner_case(root: Path, trials: int) -> str:
    """Time the plan of a search; a row of Markdown."""
    config = SearchConfig.model_validate({"name": "x", "model": ["vae"], "trials": trials})

    def plan() -> None:
        plan_cost(config, list(arms(config, SIDE)), source(config, SIDE, 0))

    return _row([f"{trials:,}", *repeated(plan, 1)])


def repeated(work: Callable[[], object], times: int = 5) -> list[str]:
    """Return the seconds that a job takes, median and range, and the peak of memory in MB."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    low, middle, high = min(taken), statistics.median(taken), max(taken)
    return [f"{middle:.2f}", f"{low:.2f} to {high:.2f}", f"{resident(peak=True):.0f}"]


def _quietly(command: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with contextlib.suppress(SystemExit):  # the command line ends its process
            command()

    return run


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    options = parser.parse_args()
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs\n")

    def size(full: int) -> int:
        return max(PARTS, int(full * float(options.scale)))

    watch = "ms, median | first part | last part | slowest part | kB growth"
    with tempfile.TemporaryDirectory() as parent:
        many, long, driven, shaped = (Path(parent, name) for name in ("a", "b", "c", "d"))
        _table(f"trials x reports | files | MB | {watch} | peak, MB")
        print(alone(store_case, many, size(10_000), 1))
        print(alone(store_case, long, size(100), size(10_000)))
        _table("tables | what | s, median | range | peak, MB")
        for root in (many, long):
            print("\n".join(alone(reading_case, root)))
        _table(f"driver | trials x reports | files | MB | {watch} | peak, MB | resume, s")
        print(alone(driver_case, driven, size(1_000), 1, "random", "late_cut"))
        print(alone(report_case, driven))
        print(alone(driver_case, shaped, size(300), 1, "shape", "race"))
        _table("runs | race score, s | proposal, s, median | range | peak, MB")
        for runs in (100, 1_000, 5_000):
            print(alone(proposal_case, runs))
        _table("planned trials | s, median | range | peak, MB")
        print(alone(planner_case, Path(parent), size(10_000)))


def alone(case: Callable[..., Any], *arguments: object) -> Any:
    """Run a case in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(case, *arguments).result()


def _table(head: str) -> None:
    print(f"\n| {head} |\n|{'---|' * (head.count('|') + 1)}", flush=True)


if __name__ == "__main__":
    main()
