"""What it gains to train several trials as one, see `mollitune.search.stack`.

Each repetition trains some trials one after the other and then their twins as one, for the same
steps on the same data, and takes the ratio. It also says how far the weights are apart then.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from paired import prepared

from mollitune.schedules import Blur, Sigmoid, Vanilla
from mollitune.search.dataset import Images, Splits
from mollitune.search.fid import Reference
from mollitune.search.spec import TrialSpec
from mollitune.search.stack import train_together
from mollitune.search.trial import Trial

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


def trials(setting: Setting, count: int, device: torch.device) -> list[Trial]:
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
                batch_size=setting.batch,
            ),
            splits,
            reference,
            100,
            device,
        )
        for seed in range(count)
    ]


def one_by_one(group: Sequence[Trial]) -> None:
    """Train each trial to its next mark by itself."""
    for trial in group:
        trial.train()


def timed(work: object, group: Sequence[Trial]) -> float:
    """Return the seconds that a training takes; the next one begins where it ends."""
    assert callable(work)
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
    alone, together = (trials(setting, count, device) for _ in range(2))
    ratios, single, stacked = [], [], []
    for repetition in range(repetitions + 1):
        each = [timed(one_by_one, alone), timed(train_together, together)]
        if repetition:  # the first one warms up
            single.append(1e3 * each[0] / setting.steps)
            stacked.append(1e3 * each[1] / setting.steps)
            ratios.append(each[0] / each[1])
    far = max(apart(*pair) for pair in zip(alone, together, strict=True))
    what = [setting.model, "x".join(map(str, setting.shape)), str(setting.batch)]
    gain = f"**{statistics.median(ratios):.2f}**"
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    times = [f"{statistics.median(values):.1f}" for values in (single, stacked)]
    return f"| {' | '.join([*what, gain, spread, *times, f'{far:.0e}'])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{platform.system()} {platform.machine()}, {options.threads} thread(s), torch "
        f"{torch.__version__}, {options.device}, load average {os.getloadavg()[0]:.1f}; "
        f"{options.trials} trials, {options.repetitions} repetitions\n"
    )
    print(
        "| model | image | batch | ratio, median | range | ms of a step of all, one by one | "
        "as one | weights apart |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        device = torch.device(options.device)
        print(row(setting, options.trials, options.repetitions, device), flush=True)


if __name__ == "__main__":
    main()
