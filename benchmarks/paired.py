"""Trains many trials in a few processes; a study that was cut off goes on where it stopped."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from mollitune.search.data.images import Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors.extractor import (
    Extractor,
    cache_folder,
    prepare_extractor,
)
from mollitune.search.metrics.reference import Reference
from mollitune.search.policy.configuration import Settings
from mollitune.search.training.stack import train_together
from mollitune.search.training.trial import Evaluation, TrainingDivergedError, Trial, TrialSpec

FID_SAMPLES = 2000

Result = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One training.

    Arguments:
        key: What tells this run from the others of the study.
        data: The data set, as in a config.
        spec: What to train.
        settings: Hyperparameters of it in which the study varies.
    """

    key: str
    data: str
    spec: TrialSpec
    settings: Settings = ()


def run_all(runs: Iterable[Run], workers: int, out: Path, stack: int = 1) -> dict[str, Result]:
    """Run what ``out`` does not hold yet, add a line for each to it, and return all its lines.

    Runs that follow each other are trained as one, ``stack`` of them.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    done = _read(out)
    left = [run for run in runs if run.key not in done]
    for run in left[:1]:
        prepared(run.data)  # so that the workers find the extractor's weights
    groups = [left[first : first + stack] for first in range(0, len(left), stack)]
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool, out.open("a") as file:
        for finished in as_completed([pool.submit(_execute, group) for group in groups]):
            for result in finished.result():
                file.write(json.dumps(result) + "\n")
                print(result, flush=True)
            file.flush()
    return _read(out)


@cache
def prepared(data: str) -> tuple[Splits, Reference]:
    """Images and FID reference; once per process."""
    splits = split(load_images(data))
    return splits, Reference.measure(_extractor(splits), splits.validation, "validation")


def described(data: str) -> str:
    """What the FID of a study is, in words."""
    splits, reference = prepared(data)
    return (
        f"FID in {reference.extractor.name} features ({reference.extractor.sha256[:12]}), "
        f"{FID_SAMPLES} samples against {len(splits.validation)} validation images"
    )


def mean_and_error(values: list[float]) -> str:
    """Mean and standard error of the mean."""
    if len(values) < 2:
        return f"{values[0]:.3g}"
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.3g} ± {error:.2g}"


def _extractor(splits: Splits) -> Extractor:
    return prepare_extractor("lenet", None, splits.train, cache_folder())


def _execute(runs: Sequence[Run]) -> list[Result]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    splits, reference = prepared(runs[0].data)
    start = time.perf_counter()
    trials = [Trial(run.spec, splits, reference, FID_SAMPLES, device) for run in runs]
    curves: list[list[Evaluation]] = [[] for _ in runs]
    errors: list[TrainingDivergedError | None] = [None for _ in runs]
    while going := [i for i, t in enumerate(trials) if errors[i] is None and t.next_mark]:
        for i, error in zip(going, _trained([trials[i] for i in going]), strict=True):
            errors[i] = error
            if error is None:
                curves[i].append(trials[i].report())
    seconds = (time.perf_counter() - start) / len(runs)
    every = zip(runs, curves, errors, strict=True)
    return [_result(run.key, curve, error, seconds) for run, curve, error in every]


def _trained(trials: Sequence[Trial]) -> Sequence[TrainingDivergedError | None]:
    """Train to the next evaluation."""
    if len(trials) > 1:
        return train_together(trials)
    try:
        trials[0].train()
    except TrainingDivergedError as error:
        return [error]
    return [None]


def _result(
    key: str, curve: list[Evaluation], error: TrainingDivergedError | None, seconds: float
) -> Result:
    if error is not None:
        return {"key": key, "fid": math.nan, "bpd": math.nan, "curve": [], "error": str(error)}
    last = curve[-1]
    return {
        "key": key,
        "fid": last.fid,
        "bpd": last.bpd,
        "curve": [_point(evaluation) for evaluation in curve],
        "non_finite": last.non_finite_losses + last.non_finite_samples,
        "seconds": seconds,
        "error": last.failure,
    }


def _point(evaluation: Evaluation) -> Result:
    return evaluation.row()


def _read(path: Path) -> dict[str, Result]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {entry["key"]: entry for entry in map(json.loads, lines)}
