"""What mollification gains on tables, judged by the last weights and beside early stopping.

Each schedule trains on the same seeds. Every run is judged twice by the mean log-likelihood of
test rows, in nats: at its last weights, and at those with the lowest NLL of validation rows.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from evidence import Row, read

from mollitune.schedules import Schedule, build
from mollitune.search.data.images import Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.data.tables import SHIPPED
from mollitune.search.metrics.extractors.extractor import prepare_extractor
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.settings import Training
from mollitune.search.training.spec import Final, TrialSpec
from mollitune.search.training.trial import Trial

ARMS: dict[str, Schedule] = {
    "vanilla": build("vanilla"),
    "sigmoid .6": build("sigmoid", until=0.6),
    "sigmoid 1.0": build("sigmoid", until=1.0),
}
MODELS = ("maf", "realnvp")
KEYS = ("table", "model", "steps", "arm", "seed")


def run(key: tuple[str, str, int, str, int], splits: Splits, reference: Reference) -> Row:
    """Train one run; return its log-likelihoods of test rows."""
    _, model, steps, arm, seed = key
    final, training = Final(best=True), Training(batch_size=50)
    spec = TrialSpec(model, ARMS[arm], seed, steps, 0.025, training, final=final)
    trial = Trial(spec, splits, reference, 2, torch.device("cpu"))
    for _ in spec.evaluation_steps()[:-1]:
        trial.train()
        trial.report()
    trial.train()
    last = trial.evaluate(math.nan, math.nan).nll
    selected = trial.report().nll
    return {**dict(zip(KEYS, key, strict=True)), "last": -last, "selected": -selected}


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield Markdown: log-likelihoods of vanilla, and what the others gain on the same seeds."""
    yield (
        "| table | model | judged | vanilla, nats | "
        + " | ".join(f"{arm} gains" for arm in ARMS if arm != "vanilla")
        + " |"
    )
    yield "|---|---|---|---|" + "---|" * (len(ARMS) - 1)
    for own in sorted({(row["table"], row["model"]) for row in rows}):
        for judged in ("last", "selected"):
            found = {
                (row["arm"], row["seed"]): row[judged]
                for row in rows
                if (row["table"], row["model"]) == own
            }
            seeds = sorted({seed for _, seed in found})
            vanilla = [found["vanilla", seed] for seed in seeds]
            cells = [_mean(vanilla)]
            for arm in ARMS:
                if arm != "vanilla":
                    gains = [found[arm, s] - v for s, v in zip(seeds, vanilla, strict=True)]
                    cells.append(_mean(gains, "+"))
            yield f"| {own[0]} | {own[1]} | {judged} | {' | '.join(cells)} |"


def _mean(values: Sequence[float], sign: str = "") -> str:
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):{sign},.2f} ± {error:,.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=SHIPPED)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("results/benchmark-tables.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(row[key] for key in KEYS) for row in read(options.out)}
    for name in options.tables:
        splits = split(load_images(name))
        extractor = prepare_extractor("columns", None, splits.train, Path())
        reference = Reference.measure(extractor, splits.test, "test")
        for model in MODELS:
            for seed in range(options.seeds):
                for arm in ARMS:
                    key = (name, model, options.steps, arm, seed)
                    if key not in done:
                        row = run(key, splits, reference)
                        with options.out.open("a") as out:
                            print(json.dumps(row), file=out, flush=True)
    print("\n".join(table([r for r in read(options.out) if r["steps"] == options.steps])))


if __name__ == "__main__":
    main()
