"""What ``mollify(x, p)`` costs, as a share of a training step.

Each repetition times some training steps and, right after them, calls of every schedule on the
same batch, so that both see the machine in the same state, and takes their ratio.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mollitune.models import build
from mollitune.schedules import Blur, Schedule, Sigmoid

UNTIL = 0.6
CASES: dict[str, tuple[Schedule, float]] = {
    "clean: p >= until": (Sigmoid(tau=0.7, until=UNTIL), 0.8),
    "noise: sigmoid": (Sigmoid(tau=0.7, until=UNTIL), 0.3),
    "blur": (Blur(sigma_max=2.0, until=UNTIL), 0.3),
}
CALLS_PER_STEP = 10  # a call is much shorter than a step: several make it long enough to time


@dataclass(frozen=True)
class Setting:
    """One model, its quick preset, on one kind of batch; how many steps one repetition times."""

    model: str
    shape: tuple[int, int, int]
    batch: int
    steps: int


SETTINGS = (
    Setting("vae", (1, 8, 8), 128, 20),
    Setting("realnvp", (1, 8, 8), 128, 5),
    Setting("vae", (3, 32, 32), 64, 2),
    Setting("realnvp", (3, 32, 32), 64, 1),
    Setting("glow", (3, 32, 32), 64, 1),
)


def timed(call: Callable[[], object], times: int, device: torch.device) -> float:
    """Return the seconds of one call, the mean of several in a row."""
    _wait(device)
    start = time.perf_counter()
    for _ in range(times):
        call()
    _wait(device)
    return (time.perf_counter() - start) / times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def training_step(setting: Setting, x: torch.Tensor) -> Callable[[], None]:
    """Return a function that makes one step of training on a fixed batch."""
    model = build(setting.model, setting.shape).to(x.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        loss = model.loss(x)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def measure(
    setting: Setting, repetitions: int, device: torch.device
) -> tuple[float, dict[str, list[float]]]:
    """Return the median seconds of a step, and for each case the ratios of call to step."""
    torch.manual_seed(0)
    x = torch.rand(setting.batch, *setting.shape, device=device) * 2 - 1
    step = training_step(setting, x)
    calls = {
        name: lambda schedule=schedule, p=p: schedule(x, p)
        for name, (schedule, p) in CASES.items()
    }
    for warm in (step, *calls.values()):
        timed(warm, 2, device)
    seconds: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(repetitions):
        seconds.append(timed(step, setting.steps, device))
        for name, call in calls.items():
            taken = timed(call, CALLS_PER_STEP * setting.steps, device)
            ratios[name].append(taken / seconds[-1])
    return statistics.median(seconds), ratios


def row(setting: Setting, seconds: float, case: str, ratios: list[float]) -> str:
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    shape = "x".join(map(str, setting.shape))
    return (
        f"| {setting.model} | {shape} | {setting.batch} | {1e3 * seconds:.1f} | {case} "
        f"| {100 * low:.3g} | **{100 * middle:.3g}** | {100 * high:.3g} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 repetitions instead of 15")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--settings", type=int, default=len(SETTINGS), help="the first so many")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    repetitions = 3 if options.quick else 15
    print(
        f"{platform.system()} {platform.machine()}, {options.threads} thread(s), Python "
        f"{platform.python_version()}, torch {torch.__version__}, {options.device}; "
        f"{repetitions} repetitions\n"
    )
    print("| model | image | batch | step, ms | case | min, % | median, % | max, % |")
    print("|---|---|---|---|---|---|---|---|")
    for setting in SETTINGS[: options.settings]:
        seconds, ratios = measure(setting, repetitions, torch.device(options.device))
        for case, values in ratios.items():
            print(row(setting, seconds, case, values), flush=True)


if __name__ == "__main__":
    main()
