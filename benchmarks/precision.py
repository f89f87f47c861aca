"""What `precision: bf16` costs and gives: paired steps, and paired trainings to their end."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

import torch
from paired import Run, described, mean_and_error, run_all

from mollitune.models import build
from mollitune.schedules import Sigmoid
from mollitune.search.training.gradients import Gradients, gradients_of
from mollitune.search.training.settings import Precision, Training
from mollitune.search.training.spec import TrialSpec

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
SCHEDULE = Sigmoid(until=0.6)
STEPS = {"vae": 1500, "realnvp": 300}
"""Models that are trained to their end on the digits, as in examples/digits.yaml."""
SPEED = (
    ("vae", (1, 8, 8), 128),
    ("maf", (1, 8, 8), 128),
    ("realnvp", (1, 8, 8), 128),
    ("vae", (3, 32, 32), 64),
    ("hvae", (3, 32, 32), 64),
    ("realnvp", (3, 32, 32), 64),
    ("glow", (3, 32, 32), 64),
)


def gradients(
    model: str, shape: tuple[int, int, int], precision: Precision, device: torch.device
) -> Gradients:
    """Return what computes loss and gradients of a model at its quick preset."""
    torch.manual_seed(0)
    built = build(model, shape).to(device)
    spec = TrialSpec(model, SCHEDULE, 0, 2, training=Training(precision=precision))
    return gradients_of(built, spec, compiled=False)


def speed(
    model: str, shape: tuple[int, int, int], batch: int, repetitions: int, device: torch.device
) -> str:
    """Return a row of Markdown: milliseconds of loss and gradients, in turns."""
    sides = [gradients(model, shape, precision, device) for precision in PRECISIONS]
    x = torch.rand(batch, *shape, device=device) * 2 - 1
    taken: list[list[float]] = [[], []]
    for repetition in range(repetitions + 1):
        for side, milliseconds in zip(sides, taken, strict=True):
            start = time.perf_counter()
            float(side(x))  # waits for the device
            if repetition:  # the first one warms up
                milliseconds.append(1e3 * (time.perf_counter() - start))
    ratios = [a / b for a, b in zip(*taken, strict=True)]
    gain = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})"
    times = " | ".join(f"{statistics.median(values):.1f}" for values in taken)
    return f"| {model} | {'x'.join(map(str, shape))} | {batch} | {gain} | {times} |"


def run(model: str, precision: Precision, seed: int) -> Run:
    """Return one training; those of a seed share weights and batches."""
    spec = TrialSpec(
        model, SCHEDULE, seed, STEPS[model], every=1.0, training=Training(precision=precision)
    )
    return Run(f"{model}/{precision}/{seed}", "digits", spec)


def quality(done: dict[str, dict[str, float]], model: str, seeds: int) -> str:
    """Return a row of Markdown: what was measured after the last step."""
    cells = [model]
    for name in ("fid", "bpd"):
        whole, half = (
            [done[run(model, precision, seed).key][name] for seed in range(seeds)]
            for precision in PRECISIONS
        )
        apart = [b - a for a, b in zip(whole, half, strict=True)]
        cells += [mean_and_error(whole), mean_and_error(half), f"**{mean_and_error(apart)}**"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=9, help="of the steps")
    parser.add_argument("--seeds", type=int, default=8, help="of the trainings")
    parser.add_argument("--workers", type=int, default=2, help="trainings at once")
    parser.add_argument("--device", default="cpu", help="of the steps")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark-precision.jsonl"))
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    print(
        f"{platform.system()} {platform.machine()}, 1 thread, Python "
        f"{platform.python_version()}, torch {torch.__version__}, {device}, load "
        f"{os.getloadavg()[0]:.1f}; {options.repetitions} repetitions, median (min-max)\n\n"
        "| model | image | batch | times faster | fp32, ms | bf16, ms |\n|---|---|---|---|---|---|"
    )
    for case in SPEED:
        print(speed(*case, options.repetitions, device), flush=True)
    runs = [run(m, p, seed) for seed in range(options.seeds) for m in STEPS for p in PRECISIONS]
    done = run_all(runs, options.workers, options.out)
    print(
        f"\ndigits, batch 128; {described('digits')}; {options.seeds} paired seeds, mean ± "
        "standard error\n\n"
        "| model | FID fp32 | FID bf16 | difference | bits/dim fp32 | bits/dim bf16 | difference "
        "|\n|---|---|---|---|---|---|---|"
    )
    for model in STEPS:
        print(quality(done, model, options.seeds))


if __name__ == "__main__":
    main()
