"""Which metric tells schedules apart with fewest samples and seeds: FID, KID or MIND?

One pool of trainings, schedules x seeds, each measured by every metric at several numbers of
samples, the smaller ones the first of the larger. Every run is a line of JSON in --out, and one
that is there is not trained again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evidence import Row, read
from scipy.stats import spearmanr

from mollitune.schedules import Schedule, build
from mollitune.search.data.images import Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors.extractor import cache_folder, prepare_extractor
from mollitune.search.metrics.fid import FidMeter
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.settings import Training
from mollitune.search.training.spec import TrialSpec
from mollitune.search.training.trial import Trial

POOL: dict[str, Schedule] = {
    "vanilla": build("vanilla"),
    "sigmoid .3": build("sigmoid", until=0.3),
    "sigmoid .6": build("sigmoid", until=0.6),
    "linear .5": build("linear", until=0.5),
    "linear .9": build("linear", until=0.9),
    "cosine .8": build("cosine", until=0.8),
    "polynomial .4": build("polynomial", until=0.4),
    "exponential .6": build("exponential", until=0.6),
    "edm .6": build("edm", until=0.6),
    "blur .6": build("blur", sigma_max=2.0, until=0.6),
}
COUNTS = (500, 1000, 2000, 10_000)
METRICS = ("fid", "kid", "extra.mind")
TRUTH = ("fid", 10_000)


def run(options: Any, splits: Splits, reference: Reference, arm: str, seed: int) -> Row:
    """Train one schedule on one seed and measure it in every way."""
    device = torch.device("cpu")
    training = Training(batch_size=options.batch, lr=options.lr)
    spec = TrialSpec(options.model, POOL[arm], seed, options.steps, every=1.0, training=training)
    trial = Trial(spec, splits, reference, 2, device)
    trial.train()
    model, found = trial.model.eval(), dict[str, float]()
    for count in COUNTS:
        meter = FidMeter(reference, count, device, ("kid", "mind"))
        own = torch.Generator(device).manual_seed(1000 + seed)
        with torch.no_grad():
            measured = meter.measure(partial(model.sample, generator=own))
        values = {"fid": measured.fid, **measured.extras}
        found |= {f"{name} {count}": values[name] for name in METRICS}
    return {"model": options.model, "steps": options.steps, "arm": arm, "seed": seed, **found}


def values_of(rows: Sequence[Row], metric: str, count: int) -> np.ndarray[Any, Any]:
    """Return a metric of every arm and seed, with shape (arms, seeds)."""
    seeds = sorted({row["seed"] for row in rows})
    by = {(row["arm"], row["seed"]): row[f"{metric} {count}"] for row in rows}
    arms = [arm for arm in POOL if all((arm, seed) in by for seed in seeds)]
    return np.array([[by[arm, seed] for seed in seeds] for arm in arms])


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield Markdown: what seeds do to a metric, beside what schedules do, and whether it agrees.

    Noise is the spread between seeds, less what a seed does to all schedules alike, over the
    spread between the means of schedules.
    """
    truth = values_of(rows, *TRUTH).mean(1)
    yield (
        "| metric | samples | spread of seeds / of schedules | paired | "
        "rank correlation of one seed with FID of 10,000 samples and all seeds | of all seeds |"
    )
    yield "|---|---|---|---|---|---|"
    for metric in METRICS:
        for count in COUNTS:
            values = values_of(rows, metric, count)
            between = float(values.mean(1).std(ddof=1))
            alone = float(np.sqrt(values.var(axis=1, ddof=1).mean()))
            paired = values - values.mean(0)
            together = float(np.sqrt(paired.var(axis=1, ddof=1).mean()))
            one = [float(spearmanr(values[:, s], truth)[0]) for s in range(values.shape[1])]
            every = float(spearmanr(values.mean(1), truth)[0])
            cells = [f"{alone / between:.2f}", f"{together / between:.2f}"]
            cells += [f"{statistics.mean(one):.3f} ({min(one):.2f})", f"{every:.3f}"]
            yield f"| {metric.removeprefix('extra.')} | {count:,} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--model", default="realnvp")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("metrics.jsonl"))
    options = parser.parse_args()
    splits = split(load_images(options.data))
    extractor = prepare_extractor("lenet", None, splits.train, cache_folder())
    reference = Reference.measure(
        extractor, splits.validation, "validation", cache_folder(), keep_features=True
    )
    how = {"model": options.model, "steps": options.steps}
    done = {(row["arm"], row["seed"]) for row in read(options.out) if how.items() <= row.items()}
    for seed in range(options.seeds):
        for arm in POOL:
            if (arm, seed) not in done:
                row = run(options, splits, reference, arm, seed)
                with options.out.open("a") as out:
                    print(json.dumps(row), file=out, flush=True)
    print("\n".join(table([r for r in read(options.out) if how.items() <= r.items()])))


if __name__ == "__main__":
    main()
