"""Trains many trials in a few processes; a study that was cut off goes on where it stopped."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Iterable
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
    """

    key: str
    data: str
    spec: TrialSpec


def run_all(runs: Iterable[Run], workers: int, out: Path) -> dict[str, Result]:
    """Run what ``out`` does not hold yet, add a line for each to it, and return all its lines."""
    out.parent.mkdir(parents=True, exist_ok=True)
    done = _read(out)
    left = [run for run in runs if run.key not in done]
    for run in left[:1]:
        prepared(run.data)  # so that the workers find the extractor's weights
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool, out.open("a") as file:
        for finished in as_completed([pool.submit(_execute, run) for run in left]):
            result = finished.result()
            file.write(json.dumps(result) + "\n")
            file.flush()
            print(result, flush=True)
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


def _execute(run: Run) -> Result:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    splits, reference = prepared(run.data)
    start = time.perf_counter()
    try:
        curve = list(Trial(run.spec, splits, reference, FID_SAMPLES, device).run())
    except TrainingDivergedError as error:
        return {"key": run.key, "fid": math.nan, "bpd": math.nan, "curve": [], "error": str(error)}
    last = curve[-1]
    return {
        "key": run.key,
        "fid": last.fid,
        "bpd": last.bpd,
        "curve": [_point(evaluation) for evaluation in curve],
        "non_finite": last.non_finite_losses + last.non_finite_samples,
        "seconds": time.perf_counter() - start,
        "error": last.failure,
    }


def _point(evaluation: Evaluation) -> Result:
    return evaluation.row()


def _read(path: Path) -> dict[str, Result]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {entry["key"]: entry for entry in map(json.loads, lines)}
