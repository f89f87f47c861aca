"""How large a search may be: the driver's work for many trials and many reports, without training.

Everything is the real thing but the trainings, whose results are invented. Each case runs in a
process of its own, so that its peak of memory is its own. Wall times are those of a machine that
may be busy otherwise; CPU times, of all threads together, tell what a quiet one needs at most.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from invented import SIDE, Driver, drawn, under_ray

from mollitune.analysis import load_results, write_report
from mollitune.analysis.ranking import leaderboard
from mollitune.search.cli import main as command_line
from mollitune.search.config import SearchConfig
from mollitune.search.launch.cost import plan_cost
from mollitune.search.policy.surrogate import ShapeSurrogate, expected_fid

PARTS = 10  # of a case that are timed each for itself, to see whether the work grows
WORKERS = 8  # trials at once
FILES_EVERY = 499  # rows after which files are counted
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
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def each(self) -> Iterator[int]:
        """Count the things to do, taking the time."""
        self.memory.append(settled())
        forget_peak()
        begun, cpu, done = time.perf_counter(), time.process_time(), 0
        for part in range(1, self.parts + 1):
            end = self.total * part // self.parts
            yield from range(done, end)
            count = max(1, end - done)
            self.seconds.append((time.perf_counter() - begun) / count)
            self.cpu.append((time.process_time() - cpu) / count)
            self.memory.append(settled())
            begun, cpu, done = time.perf_counter(), time.process_time(), end

    @property
    def cells(self) -> list[str]:
        """Milliseconds per thing, growth in kB per thing, and MB before and at most.

        The first part is left out of the growth: it also loads code and fills caches.
        """
        ms = [1e3 * s for s in self.seconds]
        grown = 1e3 * (self.memory[-1] - self.memory[1]) / (self.total * (1 - 1 / self.parts))
        cpu = 1e3 * statistics.median(self.cpu)
        shown = (statistics.median(ms), ms[0], ms[-1], max(ms), cpu, grown)
        peak = [f"{value:.0f}" for value in (self.memory[0], resident(peak=True))]
        return [*(f"{value:.3g}" for value in shown), *peak]


def resident(peak: bool = False) -> float:
    """Return the memory of this process, now or at most so far, in MB (Linux)."""
    key = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1e3


def settled() -> float:
    """Return the memory of this process in MB, without what was freed and is only kept at hand."""
    gc.collect()
    for pool in (pa.default_memory_pool(), pa.system_memory_pool()):
        pool.release_unused()
    return resident()


def forget_peak() -> None:
    """Let the peak of memory begin anew: what was loaded and prepared is not part of a case."""
    Path("/proc/self/clear_refs").write_text("5")


def footprint(folder: Path) -> tuple[int, float]:
    """Return the number of files below a folder and their MB."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files) / 1e6


def store_case(root: Path, trials: int, reports: int) -> str:
    """Write tables, of some trials side by side as they would run; return a row of Markdown."""
    driver = Driver(root, trials, reports)
    schedules = [configuration.schedule.to_dict() for configuration in drawn(trials)]
    rows = side_by_side([driver.write(i, schedules[i]) for i in range(trials)])
    watch, most = Stopwatch(trials * reports), 0
    for number in watch.each():
        next(rows)
        if number % FILES_EVERY == 0:
            most = max(most, footprint(driver.folder)[0])
    next(rows, None)
    driver.parts.recorder.close()
    files, size = footprint(driver.folder)
    shape = f"{trials:,} x {reports:,}"
    return _row([shape, f"{max(most, files)}", f"{files}", f"{size:.1f}", *watch.cells])


def side_by_side(each: list[Iterator[None]]) -> Iterator[None]:
    """Take a step of each of `WORKERS` iterators in turn, and the next when one has ended."""
    running: list[Iterator[None]] = []
    while each or running:
        while each and len(running) < WORKERS:
            running.append(each.pop(0))
        for one in list(running):
            try:
                yield next(one)
            except StopIteration:
                running.remove(one)


def driver_case(root: Path, trials: int, reports: int, sampler: str, policy: str) -> str:
    """Run the driver's objects, then fold their record as `resume` does; a row of Markdown."""
    driver = Driver(root, trials, reports, sampler, policy)
    watch = Stopwatch(trials)
    for number in watch.each():
        driver.run(number)
    driver.parts.recorder.close()
    cells = watch.cells
    start = time.perf_counter()
    driver.open()
    driver.driver.resume()
    again = time.perf_counter() - start
    files, size = footprint(driver.folder)
    what = [f"{policy}, {sampler}", f"{trials:,} x {reports:,}", f"{files}", f"{size:.1f}"]
    return _row([*what, *cells, f"{again:.1f}"])


def ray_case(root: Path, trials: int, reports: int) -> str:
    """Let Ray Tune run trials that report at once; a row of Markdown."""
    driver = Driver(root, trials, reports, policy="late_cut")
    watch = Stopwatch(trials)
    ended = watch.each()
    next(ended)
    under_ray(driver, lambda: next(ended, None))
    driver.parts.recorder.close()
    files, size = footprint(driver.folder)
    what = ["late_cut, random, under Ray", f"{trials:,} x {reports:,}", f"{files}", f"{size:.1f}"]
    return _row([*what, *watch.cells, ""])


READERS = ("load_results", "load_results + leaderboard", "mollitune query")


def reading_case(root: Path, what: str) -> str:
    """Time what a reader does with the tables of a case before; a row of Markdown."""
    folder = root / "large"

    def load() -> None:
        load_results(folder)

    def board() -> None:
        leaderboard(load_results(folder))

    def query() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            command_line(["query", str(folder), SQL])  # the command line ends its process

    cells = repeated(dict(zip(READERS, (load, board, query), strict=True))[what])
    rows = load_results(folder).tables.rows
    return _row([f"{len(rows['trials']):,} trials, {len(rows['reports']):,} rows", what, *cells])


def report_case(root: Path) -> str:
    """Time the report of a case before; a row of Markdown."""
    folder = root / "large"
    cells = repeated(lambda: write_report(load_results(folder)), 3)
    size = (folder / "report.html").stat().st_size / 1e6
    count = load_results(folder).tables["trials"].num_rows
    return _row([f"{count:,} trials, {size:.1f} MB", "load_results + write_report", *cells])


def proposal_case(runs: int) -> str:
    """Time one race score and one proposal of the shape sampler; a row of Markdown."""
    configurations = drawn(runs + 256)
    rng = np.random.default_rng(0)
    values = [[float(math.exp(v))] for v in rng.normal(4, 0.2, runs)]
    seeds = [[0]] * runs
    score = repeated(lambda: expected_fid(configurations[:runs], values, seeds), 3)

    def propose() -> None:
        surrogate = ShapeSurrogate(configurations[:runs], values, seeds)
        surrogate.at(configurations[runs:]).improvement(40.0)

    return _row([f"{runs:,}", score[1], *repeated(propose, 3)])


def planner_case(trials: int) -> str:
    """Time the plan of a search; a row of Markdown."""
    config = SearchConfig.model_validate({"name": "x", "model": ["vae"], "trials": trials})

    def plan() -> None:
        plan_cost(config, SIDE)

    return _row([f"{trials:,}", *repeated(plan, 1)])


def repeated(work: Callable[[], object], times: int = 5) -> list[str]:
    """Return the seconds that a job takes: the first time in its process, median, range, and CPU.

    Then the MB of the process before and at most.
    """
    taken, cpu = [], []
    before = settled()
    forget_peak()
    for _ in range(times):
        start, own = time.perf_counter(), time.process_time()
        work()
        taken.append(time.perf_counter() - start)
        cpu.append(time.process_time() - own)
    low, middle, high = min(taken), statistics.median(taken), max(taken)
    memory = [f"{value:.0f}" for value in (before, resident(peak=True))]
    spread = f"{low:.2f} to {high:.2f}"
    return [f"{taken[0]:.2f}", f"{middle:.2f}", spread, f"{statistics.median(cpu):.2f}", *memory]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


class Cases:
    """The cases by name; each prints its table.

    Arguments:
        folder: Where the tables are written, and read by the cases that only read.
        scale: Share of the full sizes.
    """

    def __init__(self, folder: Path, scale: float) -> None:
        self._folder = folder
        self._scale = scale
        # trials, and evaluations of each
        self._shapes = {
            "many": (self._size(10_000), 1),
            "long": (self._size(100), self._size(10_000)),
            "wide": (self._size(10_000), self._size(100)),
        }

    def store(self) -> None:
        """Many trials of one report, few of many, and a million of both kinds for the readers."""
        _table(f"trials x reports | files, most | files, end | MB | {_WATCH}")
        for name, shape in self._shapes.items():
            print(alone(store_case, self._folder / name, *shape), flush=True)

    def reading(self) -> None:
        """Readers of what `store` has written."""
        _table(f"tables | what | {_REPEATED}")
        for name in self._shapes:
            for what in READERS:
                print(alone(reading_case, self._folder / name, what), flush=True)

    def driver(self) -> None:
        """The driver's own objects, then the record folded again as `resume` does."""
        _table(f"driver | trials x reports | files | MB | {_WATCH} | resume, s")
        for count, reports, sampler, policy in (
            (10_000, 1, "random", "late_cut"),
            (10, 5_000, "random", "late_cut"),
            (500, 1, "shape", "race"),
        ):
            where = self._folder / f"{policy}-{reports}"
            shape = self._size(count), max(1, int(reports * self._scale))
            print(alone(driver_case, where, *shape, sampler, policy), flush=True)

    def ray(self) -> None:
        """The same under Ray Tune, whose own records of the trials count as well."""
        _table(f"driver | trials x reports | files | MB | {_WATCH}")
        for count, reports in ((1_000, 1), (10, 1_000)):
            shape = self._size(count), max(1, int(reports * self._scale))
            print(alone(ray_case, self._folder / f"ray-{reports}", *shape), flush=True)

    def report(self) -> None:
        """The report of a thousand trials."""
        root = self._folder / "report"
        alone(store_case, root, self._size(1_000), 1)
        _table(f"report | what | {_REPEATED}")
        print(alone(report_case, root), flush=True)

    def proposal(self) -> None:
        """What the default policy computes for each new trial."""
        _table(f"runs | race score, s | {_REPEATED}")
        for runs in (100, 1_000, 5_000):
            print(alone(proposal_case, runs), flush=True)

    def planner(self) -> None:
        """The plan of a search."""
        _table(f"planned trials | {_REPEATED}")
        print(alone(planner_case, self._size(10_000)), flush=True)

    def _size(self, full: int) -> int:
        return max(PARTS, int(full * self._scale))


CASES = ("store", "reading", "driver", "ray", "report", "proposal", "planner")
_WATCH = (
    "ms each, median | first part | last part | slowest part | CPU ms each | kB growth each | "
    "MB before | MB at most"
)
_REPEATED = "s, first | s, median | range | CPU s | MB before | MB at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES, help="some cases")
    parser.add_argument("--folder", type=Path, help="keep the tables here, for a later reading")
    options = parser.parse_args()
    load = f"load average {os.getloadavg()[0]:.1f}"
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {load}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        cases = Cases(options.folder or Path(temporary), options.scale)
        for name in options.only:
            getattr(cases, name)()


def alone(case: Callable[..., Any], *arguments: object) -> Any:
    """Run a case in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(case, *arguments).result()


def _table(head: str) -> None:
    print(f"\n| {head} |\n|{'---|' * (head.count('|') + 1)}", flush=True)


if __name__ == "__main__":
    main()
