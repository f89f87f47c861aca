"""Does averaging the weights cut the seed noise of the final FID? Digits, several seeds.

Runs of one seed are one and the same training, whatever is evaluated at its end.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from pathlib import Path

import torch
from paired import Run, described, mean_and_error, run_all

from mollitune.schedules import Schedule, Sigmoid, Vanilla
from mollitune.search.training.settings import Training
from mollitune.search.training.trial import TrialSpec

HALF_LIVES = (None, 0.02, 0.1)
SCHEDULES: dict[str, Schedule] = {"vanilla": Vanilla(), "sigmoid": Sigmoid(until=0.6)}
STEPS = {"realnvp": 300, "vae": 1500}
DATA = "digits"


def run(model: str, arm: str, half_life: float | None, seed: int) -> Run:
    spec = TrialSpec(
        model, SCHEDULES[arm], seed, STEPS[model], every=1.0, training=Training(ema=half_life)
    )
    return Run(f"{model}/{arm}/{half_life}/{seed}", DATA, spec)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2, help="runs at once, one thread each")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark-ema.jsonl"))
    options = parser.parse_args()
    cases = [(m, arm, h) for m in STEPS for arm in SCHEDULES for h in HALF_LIVES]
    runs = [run(*case, seed) for seed in range(options.seeds) for case in cases]
    done = run_all(runs, options.workers, options.out)
    print(
        f"\n{platform.system()} {platform.machine()}, Python {platform.python_version()}, torch "
        f"{torch.__version__}; {DATA}, batch 128; {described(DATA)}; {options.seeds} seeds\n"
    )
    print(
        "| model | schedule | steps | half-life | FID, mean ± standard error "
        "| standard deviation | in % of the mean |\n|---|---|---|---|---|---|---|"
    )
    for model, arm, half_life in cases:
        keys = [run(model, arm, half_life, seed).key for seed in range(options.seeds)]
        values = [done[key]["fid"] for key in keys]
        spread = statistics.stdev(values)
        name = "none" if half_life is None else f"{half_life:.0%} of the training"
        print(
            f"| {model} | {arm} | {STEPS[model]} | {name} | {mean_and_error(values)} "
            f"| {spread:.2g} | **{100 * spread / statistics.mean(values):.2g}** |"
        )


if __name__ == "__main__":
    main()
