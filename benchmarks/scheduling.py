"""What a search costs beside its trainings: start-up, trials that wait, the driver's work.

Whole searches as ``mollitune search`` runs them, on Ray Tune, with record, tables and policy; only
the trainings sleep in place of their steps. Each search runs in a process of its own. Beside it
stands a bare Ray Tune, which runs the same trainings and keeps nothing, in turn with it.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import itertools
import math
import os
import platform
import pstats
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import ray
import torch
from invented import STEP_SECONDS, Paced, Stamps, StampsOfRay, search_paced
from pyarrow import fs
from ray import tune
from rich.console import Console
from scale import alone

from mollitune.search.config import SearchConfig
from mollitune.search.launch.prepare import prepare
from mollitune.search.launch.proposals import proposer
from mollitune.search.tune.budget import Plan
from mollitune.search.tune.cluster import start_ray, temp_folder
from mollitune.search.tune.context import Context
from mollitune.search.tune.device import trial_resources
from mollitune.search.tune.environment import ray_environment

WORKERS = 2
SIDE, STEPS = 8, 1000
DECISIONS = {
    "all of it": "next",
    "the race: the process fitted to all complete runs": "worth",
    "the sampler: fitted once more, with the open ones": "_surrogate",
    "the sampler: what it believes of candidates": "at",
    "candidates drawn and compared with the tried": "candidates",
}
"""Parts of a decision, and the function that makes each."""
PARTS = 10  # of the reports, each timed for itself; the first, which also loads code, is left out


@dataclass(frozen=True)
class Work:
    """What is run.

    Arguments:
        trials: Trials of the search.
        reports: Evaluations of each.
        seconds: That each trial sleeps.
        sampler: ``shape``, ``random`` ...
        policy: The stopping policy.
        results: Where the results go; by default a folder of its own.
    """

    trials: int
    reports: int
    seconds: float
    sampler: str = "shape"
    policy: str = "race"
    results: str = ""

    @property
    def ideal(self) -> float:
        """Seconds of wall time if nothing but the trainings took time."""
        return self.trials * self.seconds / WORKERS

    def config(self, root: Path) -> SearchConfig:
        """Return the search."""
        return SearchConfig.model_validate(
            {
                "name": f"paced-{root.name}",
                "model": ["vae"],
                "trials": self.trials,
                "workers": WORKERS,
                "steps": max(2, self.reports, round(self.seconds / STEP_SECONDS)),
                "sampler": self.sampler,
                "stopping": {"policy": self.policy},
                "fid": {"every": 1 / self.reports},
                "results": self.results or str(root),
            }
        )


@dataclass(frozen=True)
class Times:
    """What a run took, in seconds.

    Arguments:
        total: From the call to its return: also data, Ray's start and its end.
        session: From the record's opening to its closing.
        first: From the call to the first report: data, Ray, and the start of a worker.
        steady: From the first report to the last.
        wall: Per report, of each part.
        cpu: The same, of the driver's processor.
        cpu_total: CPU time of the driver from the first report to the last.
    """

    total: float
    session: float
    first: float
    steady: float
    wall: list[float]
    cpu: list[float]
    cpu_total: float


def searched(root: Path, work: Work) -> Times:
    """Run a search."""
    stamps, start = Stamps(), time.perf_counter()
    outcome = search_paced(work.config(root), stamps)
    assert not outcome.interrupted
    return _times(stamps, start, outcome.seconds)


@ray_environment()
def bare(root: Path, work: Work) -> Times:
    """Let Ray Tune alone run the same trainings."""
    stamps, start = StampsOfRay(), time.perf_counter()
    config = work.config(root)
    context = _context(config)
    start_ray(config)
    begun = time.perf_counter()
    trainable = tune.with_parameters(Paced, context=context)
    tune.Tuner(
        tune.with_resources(trainable, trial_resources(config)),
        param_space={"trials": tune.grid_search([[{"trial": k}] for k in range(work.trials)])},
        tune_config=tune.TuneConfig(max_concurrent_trials=WORKERS, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=temp_folder(), callbacks=[stamps], verbose=0),
    ).fit()
    session = time.perf_counter() - begun
    ray.shutdown()
    return _times(stamps, start, session)


def _context(config: SearchConfig) -> Context:
    context = prepare(config, config.results, Console(file=io.StringIO()))
    plans = {"vae": Plan(config.fid.every, config.fid.samples)}
    return Context(config, context.splits, context.reference, config.results, plans)


def _times(stamps: Stamps, start: float, session: float) -> Times:
    total = time.perf_counter() - start
    count = len(stamps.wall)
    ends = [max(0, count * part // PARTS - 1) for part in range(1, PARTS + 1)]
    each = [(a, b) for a, b in itertools.pairwise(ends) if b > a]
    return Times(
        total=total,
        session=session,
        first=stamps.wall[0] - start,
        steady=stamps.wall[-1] - stamps.wall[0],
        wall=[(stamps.wall[b] - stamps.wall[a]) / (b - a) for a, b in each],
        cpu=[(stamps.cpu[b] - stamps.cpu[a]) / (b - a) for a, b in each],
        cpu_total=stamps.cpu[-1] - stamps.cpu[0],
    )


SIDES: dict[str, Callable[[Path, Work], Times]] = {"mollitune": searched, "bare Ray Tune": bare}


def run(side: str, work: Work) -> Times:
    """Run one side in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found: Times = alone(SIDES[side], Path(folder), work)
        return found


def taking_turns(work: Work, sides: list[str], repeats: int) -> dict[str, list[Times]]:
    """Run the sides in turn, some times."""
    found: dict[str, list[Times]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side in sides:
            found[side].append(run(side, work))
    return found


def trials_table(work: Work, sides: list[str], repeats: int) -> None:
    """Compare the wall time of many short trials with the ideal."""
    print(
        f"{work.trials:,} trials that sleep {work.seconds:g} s and report once, {WORKERS} "
        f"workers: ideal {work.ideal:g} s; {work.sampler}, {work.policy}\n"
    )
    _head(
        "times the ideal, first report to last | with the workers' start | whole command | side | "
        "first report to last, s | before the first report, s | whole command, s | CPU of the "
        "driver per trial, ms"
    )
    for side, runs in taking_turns(work, sides, repeats).items():
        cells = [
            f"**{spread([t.steady / (work.ideal - work.seconds) for t in runs], '.3f')}**",
            f"**{spread([t.session / work.ideal for t in runs], '.3f')}**",
            spread([t.total / work.ideal for t in runs], ".3f"),
            side,
            spread([t.steady for t in runs], ".1f"),
            spread([t.first for t in runs], ".1f"),
            spread([t.total for t in runs], ".1f"),
            spread([1e3 * t.cpu_total / work.trials for t in runs], ".1f"),
        ]
        _row(cells)


def reports_table(work: Work, sides: list[str], repeats: int) -> None:
    """Show what a report costs the driver."""
    print(
        f"\n{work.trials:,} trials x {work.reports:,} reports without a pause, {WORKERS} workers; "
        f"{work.sampler}, {work.policy}; parts of {100 // PARTS} %\n"
    )
    _head("side | CPU of the driver per report, ms | wall per report, ms | before the first, s")
    for side, runs in taking_turns(work, sides, repeats).items():
        cells = [
            side,
            f"**{spread([1e3 * s for t in runs for s in t.cpu], '.2f')}**",
            f"**{spread([1e3 * s for t in runs for s in t.wall], '.2f')}**",
            spread([t.first for t in runs], ".1f"),
        ]
        _row(cells)


def decisions_table(work: Work) -> None:
    """Print what the policy's decisions take: as many trials, two open at a time, none trained."""
    rng, open_trials = random.Random(0), deque[int]()
    policy = proposer(work.config(Path("nowhere")), SIDE)
    profile = cProfile.Profile()
    with profile:
        for _ in range(work.trials):
            proposal = policy.next()
            policy.started(proposal)
            open_trials.append(proposal.run.trial)
            if len(open_trials) == WORKERS:
                trial = open_trials.popleft()
                policy.ended(trial, "completed", math.exp(rng.gauss(4.0, 0.2)), STEPS)
    stats = pstats.Stats(profile).get_stats_profile().func_profiles
    _head("what | ms per trial, under a profiler")
    for what, function in DECISIONS.items():
        if function in stats:
            _row([what, f"{1e3 * stats[function].cumtime / work.trials:.0f}"])


@contextmanager
def s3() -> Iterator[str]:
    """Start the S3 server of the tests and yield the URI of its bucket."""
    server = Path(__file__).parents[1] / "tests" / "storage" / "server.py"
    command = [sys.executable, str(server)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = f"127.0.0.1:{process.stdout.readline().strip()}"
        os.environ |= {"AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own"}
        os.environ |= {"AWS_ENDPOINT_URL": f"http://{endpoint}"}
        options = {"endpoint_override": endpoint, "scheme": "http", "region": "us-east-1"}
        fs.S3FileSystem(**options, allow_bucket_creation=True).create_dir("paced")
        yield "s3://paced/results"
        process.kill()


def spread(values: list[float], digits: str) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{digits}} ({low:{digits}}-{high:{digits}})"


def _head(text: str) -> None:
    print(f"| {text} |\n|{'---|' * (text.count('|') + 1)}", flush=True)


def _row(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 trials, one repetition")
    parser.add_argument("--trials", type=int, help="short trials; 1000, quick: 100")
    parser.add_argument("--seconds", type=float, default=1.0, help="that each of them sleeps")
    parser.add_argument("--reports", type=int, help="of each of 8 trials; 1000, quick: 100")
    parser.add_argument("--repeats", type=int, help="repetitions; 3, quick: 1")
    parser.add_argument(
        "--decisions", action="store_true", help="only profile what the policy decides"
    )
    parser.add_argument("--bare", action="store_true", help="short trials by bare Ray Tune, too")
    parser.add_argument("--s3", action="store_true", help="results in the tests' S3 server")
    parser.add_argument("--sampler", default="shape")
    parser.add_argument("--policy", default="race")
    options = parser.parse_args()
    full = not options.quick
    options.trials = options.trials or (1000 if full else 100)
    options.reports = options.reports or (1000 if full else 100)
    options.repeats = options.repeats or (3 if full else 1)
    return options


def main() -> None:
    options = _options()
    with s3() if options.s3 else nullcontext("") as results:
        measure(options, results)


def measure(options: Any, results: str) -> None:
    rules = {"sampler": options.sampler, "policy": options.policy, "results": results}
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, torch "
        f"{torch.__version__}, Ray {ray.__version__}; {options.repeats} repetition(s), median "
        "(min-max)\n",
        flush=True,
    )
    short = Work(options.trials, 1, options.seconds, **rules)
    if options.decisions:
        decisions_table(short)
    else:
        trials_table(short, list(SIDES) if options.bare else ["mollitune"], options.repeats)
        reports_table(Work(8, options.reports, 0.0, **rules), list(SIDES), options.repeats)


if __name__ == "__main__":
    main()
