"""How fast the report of a large search is written and opened, and how large it is.

The tables are folded from invented events by the driver's own objects, see `scale.py`, and every
trial has a picture, as large and as hard to compress as real ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from invented import Driver, drawn, result

from mollitune.analysis import load_results, write_report
from mollitune.analysis.ranking import leaderboard
from mollitune.schedules import Schedule, Vanilla, shape_features
from mollitune.search.data.decoding import picture
from mollitune.search.store.journal import END, REPORT, START
from mollitune.search.tune.runs import OpenRun, end_of

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3


class Invented(Driver):
    """A driver's objects, fed with trials whose FIDs depend on their schedules.

    Arguments:
        root: Folder of results.
        trials: Trials of the search.
        reports: Evaluations of each.
    """

    def __init__(self, root: Path, trials: int, reports: int) -> None:
        super().__init__(root, trials, reports, policy="late_cut")
        self.configurations = -(-4 * trials // 5)  # the first fifth gets a second seed
        self._random = random.Random(1)

    def fold(self, number: int, schedule: Schedule) -> None:
        """Bring one whole trial into the tables; a bad one is stopped."""
        repeat, configuration = divmod(number, self.configurations)
        run = {"trial": number, "configuration": configuration, "repeat": repeat, "seed": repeat}
        config = {**run, "model": "vae", "schedule": schedule.to_dict()}
        event = {"trial": number, "time": datetime.now(UTC).isoformat()}
        own = OpenRun(config)
        self._send({**event, "event": START, "config": config}, own)
        final = self._final(schedule)
        for evaluation in range(1, self.reports + 1):
            own.last = self._invent(evaluation, schedule, final)
            self._send({**event, "event": REPORT, "result": own.last}, own)
            if number in self.parts.scheduler.stopped:
                break
        self._send({**event, "event": END, **end_of(own.last)}, own)

    def _send(self, event: dict[str, Any], run: OpenRun) -> None:
        decisions = self.parts.scheduler.apply(event, run)
        self.parts.recorder.apply(event, run)
        for decision in decisions:
            self.parts.recorder.decided(decision)

    def _final(self, schedule: Schedule) -> float:
        area = shape_features(schedule)["area"]
        return (60 + 120 * (area - 0.25) ** 2) * math.exp(0.08 * self._random.gauss(0, 1))

    def _invent(self, number: int, schedule: Schedule, final: float) -> dict[str, Any]:
        progress = number / self.reports
        level = schedule.level(progress)
        noise = math.exp(0.02 * self._random.gauss(0, 1))
        left = level / (schedule.level(0) or 1)
        phase = "mollified" if schedule.mollified(progress) else "clean"
        fid = noise * final * (1 + (1 - progress) ** 2 + 2 * left)
        return {**result(self._random, progress), "fid": fid, "level": level, "phase": phase}


def invented_picture(rng: np.random.Generator, side: int, channels: int) -> bytes:
    """Return the picture of 64 smooth random images with some noise, as a PNG.

    Arguments:
        rng: Source of randomness.
        side: Height and width of an image, px.
        channels: 1 or 3.
    """
    place = np.linspace(0, 1, side)
    wave = rng.normal(0, 1, (4, 64, channels, 3))
    across = wave[0, ..., :, None] * np.cos(2 * np.pi * (place * wave[1, ..., :, None]))
    down = wave[2, ..., :, None] * np.cos(2 * np.pi * (place * wave[3, ..., :, None]))
    smooth = np.einsum("nckw,nckh->nchw", across, down) / 2
    values = 128 + 90 * np.tanh(smooth) + rng.normal(0, 5, smooth.shape)
    pixels: npt.NDArray[np.uint8] = values.clip(0, 255).astype(np.uint8)
    return picture(pixels)


def build(root: Path, trials: int, reports: int, side: int, channels: int) -> Path:
    """Write a search with its pictures and return its folder."""
    driver, rng = Invented(root, trials, reports), np.random.default_rng(0)
    schedules = [Vanilla(), *(c.schedule for c in drawn(driver.configurations - 1))]
    for number in range(trials):
        driver.fold(number, schedules[number % len(schedules)])
    driver.parts.recorder.close()
    config = driver.config.to_dict()
    driver.store.write_metadata({"name": "large", "status": "finished", "config": config})
    for name in ("real", *(f"{number:04d}" for number in range(trials))):
        driver.store.write_file(f"samples/{name}.png", invented_picture(rng, side, channels))
    return driver.folder


class Taken(NamedTuple):
    """What a job took, in seconds: by the clock, and of the processor."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Iterator[Taken]:
    """Do a job several times."""
    for _ in range(ROUNDS):
        start, used = time.perf_counter(), time.process_time()
        work()
        yield Taken(time.perf_counter() - start, time.process_time() - used)


def _profile() -> tempfile.TemporaryDirectory[str]:
    """A folder for the browser, which may still write there when it is told to go."""
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


def opened(path: Path) -> Iterator[Taken]:
    """Open the page in a fresh headless Chromium each, until all figures are drawn.

    The time of the processor is that of the page's main thread.
    """
    drawn = "performance.getEntriesByName('drawn')[0].startTime"
    for _ in range(ROUNDS):
        with _profile() as profile, browsers().chromium(Path(profile)) as page:
            page.call("Performance.enable", timeDomain="threadTicks")
            page.open(path, 1280, "light")
            metrics = page.call("Performance.getMetrics")["metrics"]
            used = next(m["value"] for m in metrics if m["name"] == "TaskDuration")
            yield Taken(float(page.evaluate(drawn)) / 1e3, used)


def browsers() -> ModuleType:
    """Return the tests' browser; by its path, since other packages are called tests too."""
    spec = importlib.util.spec_from_file_location("chromium", ROOT / "tests" / "chromium.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def case(root: Path, trials: int, reports: int, side: int, channels: int) -> Iterator[str]:
    """Build a search and time what is done with it; rows of Markdown."""
    folder = root / "large"
    if not folder.exists():
        build(root, trials, reports, side, channels)
    pictures = sum(path.stat().st_size for path in folder.glob("samples/*.png")) / 1e6
    name = f"{trials:,} x {reports:,}, pictures {side}x{side}x{channels}, {pictures:.0f} MB of PNG"
    results = load_results(folder)
    jobs: dict[str, Callable[[], object]] = {
        "load_results": lambda: load_results(folder),
        "leaderboard": lambda: leaderboard(results),
        "load_results + write_report": lambda: write_report(load_results(folder)),
    }
    for what, job in jobs.items():
        yield row(name, what, list(timed(job)))
    page = folder / "report.html"
    what = f"open its {page.stat().st_size / 1e6:.1f} MB until all is drawn"
    yield row(name, what, list(opened(page)))


def row(name: str, what: str, taken: list[Taken]) -> str:
    """Return a row of Markdown."""
    wall, cpu = zip(*taken, strict=True)
    cells = (f"{statistics.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in (wall, cpu))
    return f"| {name} | {what} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--reports", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="folder for the searches, to use them again")
    options = parser.parse_args()
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs\n")
    head = "trials x reports | what | s by the clock, median (range) | s of the processor"
    print(f"| {head} |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        parent = options.keep or Path(folder)
        for side, channels in ((8, 1), (32, 3)):
            root = parent / f"{side}x{side}x{channels}"
            for line in case(root, options.trials, options.reports, side, channels):
                print(line, flush=True)


if __name__ == "__main__":
    main()
