"""Does mollification help? Every model, vanilla against the paper's sigmoid, on paired seeds.

The arms of one seed share initial weights, batches and dequantisation; only the schedule differs.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator
from pathlib import Path

import torch
from paired import Result, Run, described, mean_and_error, run_all

from mollitune.schedules import Schedule, Sigmoid, Vanilla
from mollitune.search.training.settings import Training
from mollitune.search.training.trial import TrialSpec

ARMS: dict[str, Schedule] = {
    "vanilla": Vanilla(),
    "mollified": Sigmoid(start=0, end=3, tau=0.7, until=0.6),
}
BATCH = 32
# One to four minutes on one thread.
STEPS = {
    "vae": 600,
    "beta_vae": 600,
    "iwae": 600,
    "vae_iaf": 600,
    "hvae": 600,
    "realnvp": 600,
    "maf": 400,
    "glow": 300,
}


def plan(options: argparse.Namespace) -> dict[str, list[tuple[Run, Run]]]:
    """For each model, the two runs of every seed."""
    return {
        model: [
            (_run(options, model, seed, "vanilla"), _run(options, model, seed, "mollified"))
            for seed in range(options.seeds)
        ]
        for model in options.models
    }


def _run(options: argparse.Namespace, model: str, seed: int, arm: str) -> Run:
    steps = round(options.budget * STEPS[model])
    spec = TrialSpec(model, ARMS[arm], seed, steps, every=1.0, training=Training(batch_size=BATCH))
    return Run(f"{model}/{seed}/{arm}/{steps}", options.data, spec)


def seed_by_seed(pairs: dict[str, list[tuple[Run, Run]]]) -> Iterator[Run]:
    """All runs in an order in which a part of them is a whole study with fewer seeds."""
    for same_seed in zip(*pairs.values(), strict=True):
        for pair in same_seed:
            yield from pair


def row(model: str, pairs: list[tuple[Result, Result]], steps: int) -> str:
    cells = [model, str(steps)]
    for metric in ("fid", "bpd"):
        first, second = ([pair[arm][metric] for pair in pairs] for arm in (0, 1))
        gaps = [b - a for a, b in zip(first, second, strict=True)]
        lower = sum(gap < 0 for gap in gaps)
        gap_text = f"**{mean_and_error(gaps)}** ({lower} of {len(gaps)})"
        cells += [mean_and_error(first), mean_and_error(second), gap_text]
    lost = sum(arm.get("non_finite", 0) for pair in pairs for arm in pair)
    failed = sum(arm.get("error") is not None for pair in pairs for arm in pair)
    return f"| {' | '.join([*cells, str(lost), str(failed)])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="parquet:../shared/data/cifar10-train.parquet")
    parser.add_argument("--models", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=1.0, help="factor on the steps")
    parser.add_argument("--workers", type=int, default=2, help="runs at once, one thread each")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark-models.jsonl"))
    options = parser.parse_args()
    pairs = plan(options)
    done = run_all(seed_by_seed(pairs), options.workers, options.out)
    print(
        f"\n{platform.system()} {platform.machine()}, Python {platform.python_version()}, torch "
        f"{torch.__version__}; batch {BATCH}; {described(options.data)}; mean ± standard error "
        f"over {options.seeds} paired seeds\n"
    )
    print(
        "| model | steps | FID vanilla | FID mollified | difference (lower in) "
        "| bits/dim vanilla | bits/dim mollified | difference (lower in) "
        "| not finite | failed |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for model, runs in pairs.items():
        results = [(done[one.key], done[other.key]) for one, other in runs]
        print(row(model, results, runs[0][0].spec.steps))


if __name__ == "__main__":
    main()
