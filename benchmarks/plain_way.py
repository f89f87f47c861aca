"""The plain way to run a search's trials: a Ray Tune trainable around an ordinary training loop.

It repeats the runs of a finished search: the same models from `mollitune.models`, schedules,
seeds, steps, batches, and FIDs at the same marks, with torch-fidelity. `search_speed.py` runs it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
import torch_fidelity
from fid import Bytes
from ray import tune
from torch import Tensor

from mollitune.analysis import load_results, schedule_of
from mollitune.models import GenerativeModel, build, dequantise
from mollitune.schedules import Schedule
from mollitune.search.config import SearchConfig
from mollitune.search.data.images import Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.launch.resumed import config_of, plans_of
from mollitune.search.metrics.extractors.extractor import (
    Extractor,
    cache_folder,
    prepare_extractor,
    register,
)
from mollitune.search.metrics.fid import FidMeter, to_bytes
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.spec import TrialSpec
from mollitune.search.tune.budget import Plan

# before Ray is imported: it reads what this sets
from mollitune.search.tune.cluster import start_ray, temp_folder
from mollitune.search.tune.device import trial_resources
from mollitune.search.tune.environment import ray_environment

WARMUP_SHARE = 0.05  # as in a search
DRAWN = 500  # images at once
WEIGHTS = "weights.pt"


@dataclass(frozen=True)
class Variant:
    """What the plain way leaves, and what is borrowed from a search to see what it gives.

    Arguments:
        threads: Threads of torch in a trial; None: as they are.
        our_fid: Whether FID is measured as in a search.
        reuse: Whether a process runs one trial after the other.
    """

    threads: int | None = None
    our_fid: bool = False
    reuse: bool = False


VARIANTS = {
    "plain": Variant(),
    "one thread per trial": Variant(threads=1),
    "and our FID": Variant(threads=1, our_fid=True),
    "and processes reused": Variant(threads=1, our_fid=True, reuse=True),
}


@dataclass(frozen=True)
class Work:
    """What all trials share.

    Arguments:
        config: The search that is repeated.
        plans: For each model, when it measures FID and on how many samples.
        splits: The images.
        extractor: The network of the FID.
        reference: Its statistics of the validation images, for our FID.
        folder: For the network's weights, and for what torch-fidelity keeps.
        variant: What is borrowed.
    """

    config: SearchConfig
    plans: dict[str, Plan]
    splits: Splits
    extractor: Extractor
    reference: Reference
    folder: Path
    variant: Variant


def training(run: dict[str, Any], work: Work) -> Iterator[dict[str, Any]]:
    """Train one model under one schedule, and yield a report at each mark."""
    if work.variant.threads is not None:
        torch.set_num_threads(work.variant.threads)
    torch.manual_seed(run["seed"])
    entry, plan = work.config.model_entry(run["model"]), work.plans[run["model"]]
    steps = work.config.steps_of(entry.name)
    schedule = Schedule.from_dict(run["schedule"])
    model = build(entry.name, work.splits.shape, preset=entry.preset, **entry.hparams)
    images = torch.tensor(work.splits.train.pixels)
    initialise = getattr(model, "initialise", None)
    if initialise is not None:
        initialise(dequantise(images[:256]))
    optimiser = torch.optim.Adam(model.parameters(), lr=entry.lr)
    warmup = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / max(1.0, WARMUP_SHARE * steps))
    )
    spec = TrialSpec(entry.name, schedule, run["seed"], steps, plan.every)
    marks = set(spec.evaluation_steps())
    measure = our_fid(work, plan) if work.variant.our_fid else their_fid(work, plan)
    batches: Iterator[Tensor] = iter(())
    for step in range(steps):
        batch = next(batches, None)
        if batch is None or len(batch) < entry.batch_size:
            batches = iter(torch.randperm(len(images)).split(entry.batch_size))
            batch = next(batches)
        loss = model.loss(schedule(dequantise(images[batch]), step / steps))
        optimiser.zero_grad()
        loss.backward()
        if entry.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), entry.clip_norm)
        optimiser.step()
        warmup.step()
        if step + 1 in marks:
            model.eval()
            fid = measure(model)
            model.train()
            done = {"step": step + 1, "fid": fid, "threads": torch.get_num_threads()}
            yield {**done, "done": step + 1 == steps}


def their_fid(work: Work, plan: Plan) -> Any:
    """Return what measures a model by torch-fidelity's documented call."""
    register(work.extractor.name)

    def measure(model: GenerativeModel) -> float:
        parts = [DRAWN] * (plan.samples // DRAWN) + [plan.samples % DRAWN]
        with torch.no_grad():
            drawn = torch.cat([to_bytes(model.sample(n)) for n in parts if n])
        return fidelity(work, drawn)

    return measure


def fidelity(work: Work, drawn: Tensor) -> float:
    """Return the FID of bytes; torch-fidelity keeps the statistics of the real images."""
    metrics = torch_fidelity.calculate_metrics(
        input1=Bytes(drawn),
        input2=Bytes(torch.tensor(work.splits.validation.pixels)),
        input2_cache_name="validation",
        cache_root=str(work.folder / "cache"),
        fid=True,
        feature_extractor=work.extractor.name,
        feature_extractor_weights_path=str(work.folder / WEIGHTS),
        cuda=False,
        verbose=False,
    )
    return float(metrics[torch_fidelity.KEY_METRIC_FID])


def our_fid(work: Work, plan: Plan) -> Any:
    """Return what measures a model as a search does."""
    meter = FidMeter(work.reference, plan.samples, torch.device("cpu"))

    def measure(model: GenerativeModel) -> float:
        with torch.no_grad():
            return meter.measure(model.sample).fid

    return measure


def plain(config: dict[str, Any], work: Work) -> None:
    """Train as a function that Ray Tune runs, each trial in a process of its own."""
    for report in training(config["run"], work):
        tune.report(report)


class Reused(tune.Trainable):  # type: ignore[misc]
    """The same training as a class, so that Ray Tune may keep the process."""

    def setup(self, config: dict[str, Any], work: Work) -> None:
        """Begin the first trial of this process."""
        self._work = work
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial."""
        self._reports = training(new_config["run"], self._work)
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the next mark."""
        return next(self._reports)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing."""


def repeat(search: str, variant: Variant) -> dict[str, Any]:
    """Run all trials of a search again; return seconds of the trials, threads, and mean FID."""
    results = load_results(search)
    config = config_of(dict(results.metadata))
    runs = [
        {"model": row["model"], "seed": int(row["seed"]), "schedule": schedule_of(row).to_dict()}
        for row in results.trials.to_dict("records")
    ]
    plans = plans_of(results.metadata)
    splits = split(load_images(config.dataset))
    extractor = prepare_extractor(config.fid.extractor, None, splits.train, cache_folder())
    reference = Reference.measure(extractor, splits.validation, "validation", cache_folder())
    with tempfile.TemporaryDirectory() as folder:
        work = Work(config, plans, splits, extractor, reference, Path(folder), variant)
        (work.folder / WEIGHTS).write_bytes(extractor.weights)
        with ray_environment():
            start_ray(config)
            start = time.perf_counter()
            found = _tuner(runs, work).fit()
            seconds = time.perf_counter() - start
            ray.shutdown()
    if found.errors:
        raise RuntimeError(f"{len(found.errors)} trials failed, the first with {found.errors[0]}")
    last: list[dict[str, Any]] = [result.metrics for result in found]
    fid = statistics.geometric_mean(metrics["fid"] for metrics in last)
    threads = last[0]["threads"]
    return {"trials": len(runs), "seconds": seconds, "threads": threads, "fid": fid}


def _tuner(runs: list[dict[str, Any]], work: Work) -> tune.Tuner:
    trainable = tune.with_parameters(Reused if work.variant.reuse else plain, work=work)
    return tune.Tuner(
        tune.with_resources(trainable, trial_resources(work.config)),
        param_space={"run": tune.grid_search(runs)},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=work.config.workers, reuse_actors=work.variant.reuse
        ),
        run_config=tune.RunConfig(storage_path=temp_folder(), verbose=0),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", help="folder of a finished search")
    parser.add_argument("--variant", choices=VARIANTS, default="plain")
    options = parser.parse_args()
    print(json.dumps(repeat(options.search, VARIANTS[options.variant])))


if __name__ == "__main__":
    main()
