"""Does mollification help? Every model, vanilla against the paper's sigmoid, on paired seeds.

The arms of one seed share initial weights, batches and dequantisation; only the schedule differs.
Each finished run is a line of ``--out``, so that a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import torch

from mollitune.schedules import Schedule, Sigmoid, Vanilla
from mollitune.search.dataset import Splits, split
from mollitune.search.extractors import Extractor, cache_folder, prepare_extractor
from mollitune.search.fid import Reference
from mollitune.search.sources import load_images
from mollitune.search.trial import TrainingDivergedError, Trial, TrialSpec

ARMS: dict[str, Schedule] = {
    "vanilla": Vanilla(),
    "mollified": Sigmoid(start=0, end=3, tau=0.7, until=0.6),
}
FID_SAMPLES = 2000
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


@dataclass(frozen=True)
class Run:
    """One training: a model, a seed, an arm."""

    model: str
    seed: int
    arm: str
    steps: int

    @property
    def key(self) -> str:
        """What tells this run from the others."""
        return f"{self.model}/{self.seed}/{self.arm}/{self.steps}"


def runs(models: list[str], seeds: int, budget: float) -> Iterator[Run]:
    """All runs, seed by seed, so that a part of them is a whole study with fewer seeds."""
    for seed in range(seeds):
        for model in models:
            for arm in ARMS:
                yield Run(model, seed, arm, round(budget * STEPS[model]))


@cache
def prepared(data: str) -> tuple[Splits, Reference]:
    """Images and FID reference; once per process, the extractor's weights once per machine."""
    splits = split(load_images(data))
    return splits, Reference.measure(extractor(splits), splits.validation, "validation")


def extractor(splits: Splits) -> Extractor:
    return prepare_extractor("lenet", None, splits.train, cache_folder())


def execute(run: Run, data: str) -> dict[str, object]:
    """Train and evaluate once, at the end."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    splits, reference = prepared(data)
    start = time.perf_counter()
    spec = TrialSpec(run.model, ARMS[run.arm], run.seed, run.steps, every=1.0, batch_size=BATCH)
    try:
        (last,) = Trial(spec, splits, reference, FID_SAMPLES, device).run()
    except TrainingDivergedError as error:
        return {"key": run.key, "fid": math.nan, "bpd": math.nan, "error": str(error)}
    return {
        "key": run.key,
        "fid": last.fid,
        "bpd": last.bpd,
        "non_finite": last.non_finite_losses + last.non_finite_samples,
        "seconds": time.perf_counter() - start,
        "error": last.failure,
    }


def mean_and_error(values: list[float]) -> str:
    """Mean and standard error of the mean."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.3g} ± {error:.2g}"


def row(model: str, pairs: list[tuple[dict[str, float], dict[str, float]]], steps: int) -> str:
    cells = [model, str(steps)]
    for metric in ("fid", "bpd"):
        first, second = ([pair[arm][metric] for pair in pairs] for arm in (0, 1))
        gaps = [b - a for a, b in zip(first, second, strict=True)]
        lower = sum(gap < 0 for gap in gaps)
        gap_text = f"**{mean_and_error(gaps)}** ({lower} of {len(gaps)})"
        cells += [mean_and_error(first), mean_and_error(second), gap_text]
    lost = sum(arm.get("non_finite", 0) for pair in pairs for arm in pair)
    failed = sum(arm.get("error") is not None for pair in pairs for arm in pair)
    return f"| {' | '.join([*cells, f'{lost:.0f}', str(failed)])} |"


def table(done: dict[str, dict[str, float]], planned: list[Run]) -> Iterator[str]:
    yield (
        "| model | steps | FID vanilla | FID mollified | difference (lower in) "
        "| bits/dim vanilla | bits/dim mollified | difference (lower in) "
        "| not finite | failed |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for model in dict.fromkeys(run.model for run in planned):
        mine = [run for run in planned if run.model == model]
        pairs = [
            (done[one.key], done[other.key])
            for one, other in zip(mine[::2], mine[1::2], strict=True)
            if one.key in done and other.key in done
        ]
        if pairs:
            yield row(model, pairs, mine[0].steps)


def read(path: Path) -> dict[str, dict[str, float]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {entry["key"]: entry for entry in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="parquet:../shared/data/cifar10-train.parquet")
    parser.add_argument("--models", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=1.0, help="factor on the steps")
    parser.add_argument("--workers", type=int, default=2, help="runs at once, one thread each")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark-models.jsonl"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    splits = split(load_images(options.data))
    features = extractor(splits)  # so that the workers find its weights
    planned = list(runs(options.models, options.seeds, options.budget))
    left = [run for run in planned if run.key not in read(options.out)]
    spawn = get_context("spawn")
    with (
        ProcessPoolExecutor(options.workers, mp_context=spawn) as pool,
        options.out.open("a") as f,
    ):
        for finished in as_completed([pool.submit(execute, run, options.data) for run in left]):
            f.write(json.dumps(finished.result()) + "\n")
            f.flush()
            print(finished.result(), flush=True)
    print(
        f"\n{platform.system()} {platform.machine()}, Python {platform.python_version()}, torch "
        f"{torch.__version__}; batch {BATCH}; FID in {features.name} features "
        f"({features.sha256[:12]}), {FID_SAMPLES} samples against {len(splits.validation)} "
        f"validation images; mean ± standard error over {options.seeds} paired seeds\n"
    )
    print("\n".join(table(read(options.out), planned)))


if __name__ == "__main__":
    main()
