"""What it gains to train several trials as one, see `mollitune.search.training.stack`.

Each repetition trains some trials one after the other, then their twins as one, and twins of both
with a compiled step, for the same steps on the same data, and takes the ratios. It also says how
far the weights are apart then.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from paired import prepared

from mollitune.schedules import Blur, Sigmoid, Vanilla
from mollitune.search.data.images import Images, Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.settings import Training
from mollitune.search.training.spec import TrialSpec
from mollitune.search.training.stack import train_together
from mollitune.search.training.trial import Trial

SCHEDULES = (Sigmoid(tau=0.7, until=0.6), Vanilla(), Blur(sigma_max=2.0, until=0.5), Sigmoid())
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


def trials(
    setting: Setting, count: int, device: torch.device, compiled: bool = False
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
                training=Training(batch_size=setting.batch),
            ),
            splits,
            reference,
            100,
            device,
            compiled=compiled,
        )
        for seed in range(count)
    ]


def one_by_one(group: Sequence[Trial]) -> None:
    """Train each trial to its next mark by itself."""
    for trial in group:
        trial.train()


WAYS: dict[str, tuple[Callable[[Sequence[Trial]], object], bool]] = {
    "one by one": (one_by_one, False),
    "as one": (train_together, False),
    "compiled": (one_by_one, True),
    "as one, compiled": (train_together, True),
}
"""What trains a group of trials, and whether their step is compiled."""


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


def row(setting: Setting, count: int, repetitions: int, device: torch.device) -> str:
    """Measure one setting; return a row of Markdown."""
    groups = {way: trials(setting, count, device, compiled) for way, (_, compiled) in WAYS.items()}
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for repetition in range(repetitions + 1):
        for way, (work, _) in WAYS.items():
            milliseconds = 1e3 * timed(work, groups[way]) / setting.steps
            if repetition:  # the first one warms up
                taken[way].append(milliseconds)
    alone, *others = WAYS
    gains = [gain(taken[alone], taken[way]) for way in others]
    times = [f"{statistics.median(taken[way]):.1f}" for way in WAYS]
    far = max(
        apart(*pair) for way in others for pair in zip(groups[alone], groups[way], strict=True)
    )
    what = [setting.model, "x".join(map(str, setting.shape)), str(setting.batch)]
    return f"| {' | '.join([*what, *gains, *times, f'{far:.0e}'])} |"


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
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    _, *others = WAYS
    print(
        f"{platform.system()} {platform.machine()}, {options.threads} thread(s), torch "
        f"{torch.__version__}, {options.device}, load average {os.getloadavg()[0]:.1f}; "
        f"{options.trials} trials, {options.repetitions} repetitions\n"
    )
    print(
        f"| model | image | batch | {' | '.join(f'{way}: times faster' for way in others)} | "
        f"ms of a step of all, {' | '.join(WAYS)} | weights apart |"
    )
    print("|---" * (4 + len(others) + len(WAYS)) + "|")
    for setting in SETTINGS:
        device = torch.device(options.device)
        print(row(setting, options.trials, options.repetitions, device), flush=True)


if __name__ == "__main__":
    main()
