"""What it gains to train several trials as one, see `mollitune.search.training.stack`.

Each repetition trains some trials one after the other, then their twins as one, and twins of both
with a compiled step, on a GPU also as CUDA graphs, for the same steps on the same data, and takes
the ratios. It also says how far the weights are apart then, and with --profile how busy the GPU
was and how often a step waited for it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from paired import prepared
from torch.profiler import ProfilerActivity, profile

from mollitune.schedules import Blur, Sigmoid, Vanilla
from mollitune.search.data.images import Images, Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.settings import Precision, Training
from mollitune.search.training.spec import TrialSpec
from mollitune.search.training.stack import train_together
from mollitune.search.training.trial import Trial

SCHEDULES = (Sigmoid(tau=0.7, until=0.6), Vanilla(), Blur(sigma_max=2.0, until=0.5), Sigmoid())
WAITS = {"cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"}
MARKS = 100  # evaluations of a training, of which each repetition reaches the next; none is made


@dataclass(frozen=True)
class Setting:
    """A model at its quick preset, and the steps that one repetition makes.

    Arguments:
        model: Its name.
        shape: Shape of an image: digits, or noise of another shape.
        batch: Images per step.
        steps: Training steps per repetition.
    """

    model: str
    shape: tuple[int, int, int]
    batch: int
    steps: int


SETTINGS = (
    Setting("vae", (1, 8, 8), 128, 40),
    Setting("vae", (1, 8, 8), 32, 40),
    Setting("maf", (1, 8, 8), 128, 6),
    Setting("maf", (1, 8, 8), 32, 12),
    Setting("realnvp", (1, 8, 8), 128, 3),
    Setting("realnvp", (1, 8, 8), 32, 6),
    Setting("glow", (1, 8, 8), 32, 3),
    Setting("vae", (1, 28, 28), 32, 2),
)


def images(shape: tuple[int, int, int]) -> tuple[Splits, Reference]:
    """Return digits, or as many images of noise; the reference is not used for the latter."""
    splits, reference = prepared("digits")
    if shape == splits.shape:
        return splits, reference
    noise = np.random.default_rng(0).integers(0, 256, (1024, *shape), dtype=np.uint8)
    own = Images("noise", noise)
    return Splits(own, own, own), reference


@dataclass(frozen=True)
class Way:
    """How a group of trials is trained."""

    train: Callable[[Sequence[Trial]], object]
    compiled: bool = False
    graphs: bool = False


def trials(
    setting: Setting, count: int, device: torch.device, way: Way, precision: Precision
) -> list[Trial]:
    """Return trials of several schedules, each with a seed of its own."""
    splits, reference = images(setting.shape)
    return [
        Trial(
            TrialSpec(
                setting.model,
                SCHEDULES[seed % len(SCHEDULES)],
                seed,
                MARKS * setting.steps,
                every=1 / MARKS,
                training=Training(batch_size=setting.batch, precision=precision),
            ),
            splits,
            reference,
            100,
            device,
            compiled=way.compiled,
            graphs=way.graphs,
        )
        for seed in range(count)
    ]


def one_by_one(group: Sequence[Trial]) -> None:
    """Train each trial to its next mark by itself."""
    for trial in group:
        trial.train()


def each_as_one(group: Sequence[Trial]) -> None:
    """Train each trial to its next mark in a stack of its own, which can be a CUDA graph."""
    for trial in group:
        train_together([trial])


WAYS = {
    "one by one": Way(one_by_one),
    "as one": Way(train_together),
    "compiled": Way(one_by_one, compiled=True),
    "as one, compiled": Way(train_together, compiled=True),
    "graphs": Way(each_as_one, graphs=True),
    "as one, graphs": Way(train_together, graphs=True),
}
ON_A_GPU = ("graphs", "as one, graphs")


def timed(work: Callable[[Sequence[Trial]], object], group: Sequence[Trial]) -> float:
    """Return the seconds that a training takes; the next one begins where it ends."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    work(group)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    for trial in group:
        trial.evaluated = trial.step
    return seconds


def apart(one: Trial, other: Trial) -> float:
    """Return the largest difference of two trials' weights."""
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return max(float((p - q).detach().abs().max()) for p, q in pairs)


def row(setting: Setting, options: argparse.Namespace) -> str:
    """Measure one setting; return a row of Markdown."""
    device = torch.device(options.device)
    groups = {
        way: trials(setting, options.trials, device, WAYS[way], options.precision)
        for way in options.ways
    }
    taken: dict[str, list[float]] = {way: [] for way in options.ways}
    for repetition in range(options.repetitions + 1):
        for way in options.ways:
            milliseconds = 1e3 * timed(WAYS[way].train, groups[way]) / setting.steps
            if repetition:  # the first one warms up
                taken[way].append(milliseconds)
    alone, *others = options.ways
    gains = [gain(taken[alone], taken[way]) for way in others]
    times = [f"{statistics.median(taken[way]):.1f}" for way in options.ways]
    far = max(
        apart(*pair) for way in others for pair in zip(groups[alone], groups[way], strict=True)
    )
    if options.profile:
        times += [busy(WAYS[way].train, groups[way], setting.steps) for way in options.ways]
    what = [setting.model, "x".join(map(str, setting.shape)), str(setting.batch)]
    return f"| {' | '.join([*what, *gains, *times, f'{far:.0e}'])} |"


def busy(work: Callable[[Sequence[Trial]], object], group: Sequence[Trial], steps: int) -> str:
    """Return the GPU's busy share in %, and how often a step of all waited for it."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        seconds = timed(work, group)
    events = seen.key_averages()
    waits = sum(e.count for e in events if e.key in WAITS) - 1  # the one that `timed` makes
    share = sum(e.self_device_time_total for e in events) / 1e6 / seconds
    return f"{100 * share:.0f}, {max(waits, 0) / steps:.2f}"


def gain(before: Sequence[float], after: Sequence[float]) -> str:
    """Return how many times faster it became: the median of the ratios, and their range."""
    ratios = [a / b for a, b in zip(before, after, strict=True)]
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="the first is compared with")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32")
    parser.add_argument("--settings", type=int, default=len(SETTINGS), help="the first so many")
    parser.add_argument("--profile", action="store_true", help="busy share and waits, on a GPU")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    on_gpu = options.device.startswith("cuda")
    options.ways = options.ways or [w for w in WAYS if on_gpu or w not in ON_A_GPU]
    _, *others = options.ways
    print(
        f"{platform.system()} {platform.machine()}, {options.threads} thread(s), torch "
        f"{torch.__version__}, {options.device}, load average {os.getloadavg()[0]:.1f}; "
        f"{options.trials} trials, {options.precision}, {options.repetitions} repetitions\n"
    )
    profiled = [f"{way}: GPU busy, %; waits per step" for way in options.ways * options.profile]
    print(
        f"| model | image | batch | {' | '.join(f'{way}: times faster' for way in others)} | "
        f"ms of a step of all, {' | '.join([*options.ways, *profiled])} | weights apart |"
    )
    print("|---" * (4 + len(others) + len(options.ways) + len(profiled)) + "|")
    for setting in SETTINGS[: options.settings]:
        print(row(setting, options), flush=True)


if __name__ == "__main__":
    main()
