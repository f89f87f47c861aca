"""Does mollification help at a real budget? Paired seeds of vanilla beside other schedules.

Every evaluation of every run is a line of JSON in --out, and a run that is there is not trained
again: what was cut off goes on at the next run. FID and KID in LeNet features and bits per dim at
every mark; at the end also FID in EfficientNet features, where that is installed, and for models
with an encoder the FID of samples from a Gaussian fitted to the aggregate posterior, and of
reconstructions. Several runs are trained as one with --stack.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mollitune._errors import MollituneError
from mollitune.analysis import trend
from mollitune.models import dequantise
from mollitune.schedules import Blur, Schedule, Sigmoid, Vanilla
from mollitune.search.data.images import Splits, as_tensor, split
from mollitune.search.data.sources import load_images
from mollitune.search.launch.controls import constant
from mollitune.search.metrics.extractors.extractor import cache_folder, prepare_extractor
from mollitune.search.metrics.extras.prior import fitted
from mollitune.search.metrics.fid import FidMeter
from mollitune.search.metrics.reference import Reference, compute_statistics
from mollitune.search.training.settings import Training
from mollitune.search.training.spec import TrialSpec
from mollitune.search.training.stack import train_together
from mollitune.search.training.trial import Trial

MARKS = 4
PROBED = 50
"""Steps that are timed, to see how many fit the minutes."""
NETWORKS = ("lenet", "efficientnet-lite0")
Row = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """What all runs share."""

    options: argparse.Namespace
    splits: Splits
    references: dict[str, Reference]
    device: torch.device

    @classmethod
    def of(cls, options: argparse.Namespace) -> Setup:
        """Load the images and measure them in each network that is installed."""
        splits, references = split(load_images(options.data)), {}
        device = torch.device(options.device)
        compute = partial(compute_statistics, device=device)
        for name in options.networks:
            try:
                extractor = prepare_extractor(name, None, splits.train, cache_folder())
                # KID is measured in the first one
                keep = name == options.networks[0]
                references[name] = Reference.measure(
                    *(extractor, splits.validation, "validation", cache_folder()),
                    keep_features=keep,
                    compute=compute,
                )
            except MollituneError as error:
                print(f"without {name}: {error}", flush=True)
        return cls(options, splits, references, device)

    def trial(self, arm: str, seed: int, steps: int, lr: float) -> Trial:
        """Return a run that has not begun."""
        own = self.options
        spec = TrialSpec(
            *(own.model, schedule_of(arm), seed, steps),
            every=1 / MARKS,
            training=Training(batch_size=own.batch, lr=lr),
        )
        reference = self.references[own.networks[0]]
        return Trial(
            *(spec, self.splits, reference, own.fid_samples, self.device, ("kid",)),
            graphs=own.graphs,
        )


def named(data: str) -> str:
    """Return the name of a data set, whichever folder it lies in."""
    return Path(data.rpartition(":")[2]).stem


def schedule_of(arm: str) -> Schedule:
    """Return what an arm names.

    ``vanilla``, ``sigmoid .6`` (the paper's curve until that progress), ``constant .6`` (its
    control: constant noise of the same mean level until the same progress), or ``blur .6 4.7``
    (from that many pixels).
    """
    if arm == "vanilla":
        return Vanilla()
    name, until, *sigma = arm.split()
    if name == "blur":
        return Blur(until=float(until), sigma_max=float(*sigma))
    schedule = Sigmoid(until=float(until))
    return schedule if name == "sigmoid" else constant(schedule) or schedule


def steps_that_fit(setup: Setup, runs: Sequence[tuple[str, int]], seconds: float) -> int:
    """Time some steps and an evaluation of each run; return the steps that fit the seconds."""
    trials = [setup.trial(*run, MARKS * PROBED, setup.options.lr[0]) for run in runs]
    train(setup, trials)  # most of it warms up
    evaluation = taken(setup, lambda: [trial.report() for trial in trials])
    step = taken(setup, lambda: train(setup, trials)) / PROBED
    left = seconds - 2 * PROBED * step - (MARKS + 3) * evaluation
    steps = int(max(MARKS * 10, left / step) // MARKS * MARKS)
    print(
        f"a step of {len(runs)} runs: {1e3 * step:.2f} ms; an evaluation of all: "
        f"{evaluation:.1f} s; {steps:,} steps fit",
        flush=True,
    )
    return steps


def taken(setup: Setup, work: Callable[[], object]) -> float:
    """Return the seconds of a work."""
    start = time.perf_counter()
    work()
    if setup.device.type == "cuda":
        torch.cuda.synchronize(setup.device)
    return time.perf_counter() - start


def train(setup: Setup, trials: Sequence[Trial]) -> None:
    """Train each run to its next mark."""
    if len(trials) == 1 and not setup.options.graphs:
        trials[0].train()
    elif errors := [error for error in train_together(trials) if error is not None]:
        raise errors[0]


def measure(setup: Setup, trials: dict[tuple[str, int], Trial]) -> Iterator[Row]:
    """Train runs side by side to their ends; yield a row for each mark of each."""
    began, group = time.monotonic(), list(trials.values())
    while group[0].next_mark is not None:
        train(setup, group)
        for (arm, seed), trial in trials.items():
            found = trial.report()
            row = {"arm": arm, "seed": seed, "step": found.step, "lost": trial.lost_steps}
            row |= {"fid": found.fid, "kid": found.extras["kid"], "bpd": found.bpd}
            if trial.next_mark is None:
                row |= {"final": True, "seconds": time.monotonic() - began}
                for name in setup.references:
                    row |= closer(setup, trial, name)
            yield row


@torch.no_grad()
def closer(setup: Setup, trial: Trial, name: str) -> Row:
    """Return FIDs in a network's features: of samples, and what a VAE's prior does to them."""
    model, device = trial.model.eval(), setup.device
    meter = FidMeter(setup.references[name], min(setup.options.fid_samples, 5000), device)
    own = torch.Generator(device).manual_seed(3)
    found = {f"{name}: samples": meter.measure(lambda n: model.sample(n, own)).fid}
    if hasattr(model, "encode"):
        pixels = setup.splits.train.pixels[: 2 * meter.samples]
        codes = aggregate(model, as_tensor(pixels).to(device))
        draw = fitted(codes, torch.Generator(device).manual_seed(4))
        batches = iter(codes[: meter.samples].split(256))
        found |= {
            f"{name}: fitted prior": meter.measure(lambda n: decoded(model, draw(n))).fid,
            f"{name}: reconstructions": meter.measure(
                lambda n: decoded(model, next(batches)[:n])
            ).fid,
        }
    model.train()
    return found


def aggregate(model: Any, pixels: Tensor) -> Tensor:
    """Draw a code for each image from the posterior that the encoder gives it, in random order."""
    generator = torch.Generator(pixels.device).manual_seed(5)
    parts = dequantise(pixels, generator).split(500)
    return torch.cat([model.codes(part, generator) for part in parts])


def decoded(model: Any, codes: Tensor) -> Tensor:
    images: Tensor = model.decode(codes).clamp(-1, 1)
    return images


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_all(setup: Setup) -> None:
    """Train what is not in --out yet, in groups of --stack runs, seed by seed."""
    own = setup.options
    runs = [(arm, seed) for seed in range(own.seeds) for arm in own.arms]
    if own.minutes is not None:
        groups = math.ceil(len(runs) / own.stack)  # one after the other
        most = steps_that_fit(setup, runs[: own.stack], 60 * own.minutes / groups)
        own.steps = [min(own.steps[0], most)]
    for steps in own.steps:
        for lr in own.lr:
            how = {"data": named(own.data), "model": own.model, "steps": steps, "batch": own.batch}
            how |= {"lr": lr, "fid_samples": own.fid_samples, "device": own.device}
            run_budget(setup, runs, how)


def run_budget(setup: Setup, runs: Sequence[tuple[str, int]], how: Row) -> None:
    """Train the runs of one budget and learning rate."""
    own = setup.options
    rows = [row for row in read(own.out) if how.items() <= row.items() and row.get("final")]
    left = [run for run in runs if run not in {(row["arm"], row["seed"]) for row in rows}]
    for first in range(0, len(left), own.stack):
        group = left[first : first + own.stack]
        trials = {run: setup.trial(*run, how["steps"], how["lr"]) for run in group}
        with own.out.open("a") as out:
            for row in measure(setup, trials):
                print(json.dumps(how | row), file=out, flush=True)
        print(f"{how['steps']:,} steps, lr {how['lr']:g}: {first + len(group)} of {len(left)}")


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield Markdown: paired differences from vanilla, with their standard errors, by measure.

    In brackets stands what vanilla has.
    """
    ended = [row for row in rows if row.get("final")]
    measures = [name for name in ended[0] if name in ("fid", "kid", "bpd") or ":" in name]
    keys = ("model", "batch", "lr", "steps")
    yield f"| {' | '.join([*keys, 'arm', 'seeds', *measures])} |"
    yield f"|{'---|' * (len(keys) + 2 + len(measures))}"
    for setting in sorted({tuple(row[key] for key in keys) for row in ended}):
        here = [row for row in ended if tuple(row[key] for key in keys) == setting]
        plain = {row["seed"]: row for row in here if row["arm"] == "vanilla"}
        for arm in sorted({row["arm"] for row in here} - {"vanilla"}):
            own = {row["seed"]: row for row in here if row["arm"] == arm}
            pairs = [(plain[seed], own[seed]) for seed in sorted(plain.keys() & own.keys())]
            cells = [compared([(a[name], b[name]) for a, b in pairs]) for name in measures]
            yield f"| {' | '.join([*map(str, setting), arm, str(len(pairs)), *cells])} |"


def compared(pairs: Sequence[tuple[float, float]]) -> str:
    plain = statistics.mean(a for a, _ in pairs)
    differences = [b - a for a, b in pairs]
    error = statistics.stdev(differences) / len(pairs) ** 0.5 if len(pairs) > 1 else float("nan")
    return f"{statistics.mean(differences):+.2g} ± {error:.2g} ({plain:.3g})"


def trends(rows: Sequence[Row]) -> Iterator[str]:
    """Yield for each arm, and each measure at several budgets, how its difference moves."""
    ended = [row for row in rows if row.get("final")]
    for arm in sorted({row["arm"] for row in ended} - {"vanilla"}):
        for name in [n for n in ended[0] if n in ("fid", "kid", "bpd") or ":" in n]:
            found: dict[int, list[float]] = {}
            plain = {(r["steps"], r["seed"]): r[name] for r in ended if r["arm"] == "vanilla"}
            for row in ended:
                if row["arm"] == arm and (row["steps"], row["seed"]) in plain:
                    difference = row[name] - plain[row["steps"], row["seed"]]
                    found.setdefault(row["steps"], []).append(difference)
            if len(found) > 1:
                yield f"{name}: {trend(found).sentence(arm)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--model", default="vae")
    parser.add_argument("--arms", nargs="+", default=["vanilla", "sigmoid 0.6"])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, nargs="+", default=[20_000], help="budgets")
    parser.add_argument("--minutes", type=float, help="make fewer steps, so that they fit")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, nargs="+", default=[1e-3])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="the first at all marks")
    parser.add_argument("--fid-samples", type=int, default=10_000)
    parser.add_argument("--stack", type=int, default=1, help="runs that are trained as one")
    parser.add_argument("--graphs", action="store_true", help="training steps are CUDA graphs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark-evidence.jsonl"))
    parser.add_argument("--table", action="store_true", help="print what --out has; train nothing")
    options = parser.parse_args()
    if not options.table:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        run_all(Setup.of(options))
    rows = read(options.out)
    print("\n".join(table(rows)), flush=True)
    for setting in sorted({(row["model"], row["batch"], row["lr"]) for row in rows}):
        own = [row for row in rows if (row["model"], row["batch"], row["lr"]) == setting]
        print(f"\n{setting[0]}, batch {setting[1]}, lr {setting[2]:g}\n")
        print("\n".join(trends(own)), flush=True)


if __name__ == "__main__":
    main()
