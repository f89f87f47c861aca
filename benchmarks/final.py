"""Which value of a run has the least noise: the last, a mean over the end, or a decayed rate?

Trains schedules with several seeds, once at a constant learning rate and once at each decay, and
evaluates often over the last part. For each way to make one value of a run it prints the mean FID,
what is left after the means of the schedules (the residual, whose square is what seeds must
average out), and how much of the variance is the schedules'. Every run is a line of JSON in --out;
one that is there is not trained again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from evidence import Row, named, read, schedule_of
from scipy.stats import nct

from mollitune.analysis import seeds_needed
from mollitune.analysis.confirmation.paired import critical
from mollitune.search.data.images import split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors.extractor import cache_folder, prepare_extractor
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.settings import Training
from mollitune.search.training.spec import Final, TrialSpec
from mollitune.search.training.trial import Trial

DENSE = Final(marks=13, share=0.3)
"""Where is evaluated: at 70 %, 72.5 %, ... 100 %."""
WAYS = {
    "last": (0.0,),
    "2 in 5 %": (0.05, 0.0),
    "3 in 5 %": (0.05, 0.025, 0.0),
    "3 in 10 %": (0.1, 0.05, 0.0),
    "5 in 10 %": (0.1, 0.075, 0.05, 0.025, 0.0),
    "3 in 20 %": (0.2, 0.1, 0.0),
    "5 in 20 %": (0.2, 0.15, 0.1, 0.05, 0.0),
    "4 in 30 %": (0.3, 0.2, 0.1, 0.0),
}
"""Progress before the end at which each way evaluates."""
DECAYS = ("constant", "linear", "cosine")
COMPARISONS, KEPT = 6, 0.96
Floats = npt.NDArray[np.float64]


def train_all(options: argparse.Namespace) -> None:
    """Train what is not in --out yet, seed by seed, so that a part is of use."""
    splits, device = split(load_images(options.data)), torch.device("cpu")
    extractor = prepare_extractor("lenet", None, splits.train, cache_folder())
    reference = Reference.measure(extractor, splits.validation, "validation", cache_folder())
    how = {"data": named(options.data), "model": options.model, "steps": options.steps}
    how |= {"batch": options.batch, "lr": options.lr, "fid_samples": options.fid_samples}
    known = {
        (row["decay"], row["arm"], row["seed"])
        for row in read(options.out)
        if how.items() <= row.items()
    }
    plan = itertools.product(range(options.seeds), options.decays, options.arms)
    left = [(decay, arm, seed) for seed, decay, arm in plan if (decay, arm, seed) not in known]
    for count, (decay, arm, seed) in enumerate(left, 1):
        spec = TrialSpec(
            *(options.model, schedule_of(arm), seed, options.steps),
            every=1.0,
            training=Training(batch_size=options.batch, lr=options.lr, lr_decay=decay),
            final=DENSE,
        )
        found = list(Trial(spec, splits, reference, options.fid_samples, device).run())
        row = how | {"decay": decay, "arm": arm, "seed": seed}
        row |= {"fid": [own.step_fid for own in found], "last_bpd": found[-1].bpd}
        row |= {"train": sum(own.step_seconds for own in found) / len(found) * options.steps}
        row |= {"evaluate": sum(own.eval_seconds for own in found) / len(found)}
        with options.out.open("a") as out:
            print(json.dumps(row), file=out)
        print(f"{count} of {len(left)}: {decay}, {arm}, seed {seed}", flush=True)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield Markdown: for each decay and way the mean, the residual and the schedules' share."""
    names = ("data, model", "lr", "decay", "value", "mean FID", "residual sd", "seeds needed")
    yield f"| {' | '.join(names)} | schedules / residual | more time |"
    yield "|---|---|---|---|---|---|---|---|---|"
    keys = ("data", "model", "lr")
    for setting in sorted({tuple(row[key] for key in keys) for row in rows}):
        own = [row for row in rows if tuple(row[key] for key in keys) == setting]
        more = statistics.median(row["evaluate"] / row["train"] for row in own)
        first: float | None = None
        for decay in DECAYS:
            curves = cube([row for row in own if row["decay"] == decay])
            if curves is None:
                continue
            for way, before in WAYS.items():
                values = curves[:, :, [round(40 * (0.3 - share)) for share in before]].mean(2)
                residual, signal = variances(values)
                first = first or residual
                cells = [
                    *(f"{setting[0]}, {setting[1]}", f"{setting[2]:g}", decay, way),
                    *(f"{values.mean():.2f}", f"{residual**0.5:.2f}", f"{residual / first:.2f}"),
                    *(f"{signal / residual:.2f}", f"{100 * more * (len(before) - 1):.0f} %"),
                ]
                yield f"| {' | '.join(cells)} |"


def cube(rows: Sequence[Row]) -> Floats | None:
    """Return FIDs by arm, seed and mark, of the seeds that every arm has; None of fewer than 2."""
    found = {(row["arm"], row["seed"]): row["fid"] for row in rows}
    arms, seeds = ({key[i] for key in found} for i in range(2))
    whole = sorted(seed for seed in seeds if all((arm, seed) in found for arm in arms))
    if len(whole) < 2:
        return None
    return np.array([[found[arm, seed] for seed in whole] for arm in sorted(arms)])


def seeds_table(rows: Sequence[Row], gap: float = 12.0) -> Iterator[str]:
    """Yield Markdown: seeds that find a difference with 80 %, with each way and each rule.

    *Alone*: each pair of arms has its own variance, as verdicts had it; *shared*: see `spread_of`.
    Six arms beside vanilla, 4 % for those that are kept.
    """
    yield f"| data, model | decay | value | sd of pairs | seeds for {gap:g}, alone | shared |"
    yield "|---|---|---|---|---|---|"
    for setting in sorted({(row["data"], row["model"], row["decay"]) for row in rows}):
        own = [row for row in rows if (row["data"], row["model"], row["decay"]) == setting]
        curves = cube(own)
        if curves is None:
            continue
        for way in ("last", "3 in 10 %", "3 in 20 %"):
            values = curves[:, :, [round(40 * (0.3 - share)) for share in WAYS[way]]].mean(2)
            sd = float(np.sqrt((values[:-1] - values[-1]).var(1, ddof=1).mean()))
            alone = next(n for n in range(2, 1000) if alone_power(gap / sd, n) >= 0.8)
            shared = seeds_needed(gap, sd, COMPARISONS, KEPT)
            cells = [f"{setting[0]}, {setting[1]}", setting[2], way, f"{sd:.2f}"]
            yield f"| {' | '.join([*cells, str(alone), str(shared)])} |"


def alone_power(effect: float, seeds: int) -> float:
    """Power of a paired t interval with Bonferroni's correction; the effect is in sd."""
    needed = critical(COMPARISONS, KEPT, seeds - 1)
    return float(nct.sf(needed, seeds - 1, effect * seeds**0.5))


def variances(values: Floats) -> tuple[float, float]:
    """Return residual variance within arms, and that of the arms' true means (not below 0)."""
    residual = float(values.var(1, ddof=1).mean())
    return residual, max(0.0, float(values.mean(1).var(ddof=1)) - residual / values.shape[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--model", default="realnvp")
    parser.add_argument("--arms", nargs="+", default=["vanilla", "sigmoid 0.3", "sigmoid 0.6"])
    parser.add_argument("--decays", nargs="+", default=DECAYS, choices=DECAYS)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--fid-samples", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("results/benchmark-final.jsonl"))
    parser.add_argument("--table", action="store_true", help="print what --out has; train nothing")
    options = parser.parse_args()
    if not options.table:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        train_all(options)
    rows = read(options.out)
    print("\n".join(table(rows)))
    print()
    print("\n".join(seeds_table(rows)))


if __name__ == "__main__":
    main()
