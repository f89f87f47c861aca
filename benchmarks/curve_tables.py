"""Writes recorded runs as the tables of a search, so that everything that reads one reads them."""

from __future__ import annotations

import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from paired import FID_SAMPLES, Result, Run, prepared

from mollitune.schedules import Schedule, families, shape_features
from mollitune.search.policy.dimensions import arrow_type, spelled_out
from mollitune.search.policy.hyperspace import NOTHING, Hyperspace
from mollitune.search.policy.space import parameter_types
from mollitune.search.store.evaluation import measured
from mollitune.search.store.writer import Store
from mollitune.search.tune.recorder import clean_steps

_OF_THE_RUN = ("search", "trial", "configuration", "attempt", "seed", "stage")


def write_tables(
    folder: Path,
    runs: list[Run],
    results: dict[str, Result],
    searched: int,
    space: Hyperspace = NOTHING,
) -> None:
    """Write the seeds of a study that every configuration has; those from ``searched`` on judge.

    An old folder is replaced.
    """
    lacking = {run.spec.seed for run in runs if run.key not in results}
    runs = [run for run in runs if run.spec.seed not in lacking]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    schedules = list(dict.fromkeys(int(run.key.split("/")[0]) for run in runs))
    time = datetime.now(UTC).replace(microsecond=0)
    kinds = parameter_types(families())
    kinds |= {name: arrow_type(found) for name, found in space.dimensions.items()}
    with Store.open(str(folder), kinds) as store:
        for run in runs:
            start = _start(folder.name, run, len(schedules), searched)
            _write_run(store, run, start, results[run.key], time)
        store.write_metadata(_metadata(folder.name, runs[0], time, space))


def _start(name: str, run: Run, count: int, searched: int) -> dict[str, Any]:
    configuration, seed = map(int, run.key.split("/"))
    schedule = run.spec.schedule
    return {
        "search": name,
        "trial": seed * count + configuration,
        "configuration": configuration,
        "attempt": 1,
        "seed": seed,
        "stage": "search" if seed < searched else "confirm",
        "model": run.spec.model,
        "dataset": _dataset(run),
        "family": schedule.family,
        "budget": run.spec.steps * run.spec.training.batch_size,
        "scale": 1.0,
        **{f"params.{k}": v for k, v in schedule.to_dict()["params"].items()},
        **{f"params.{k}": v for k, v in run.settings},
    }


def _write_run(
    store: Store, run: Run, start: dict[str, Any], result: Result, time: datetime
) -> None:
    how = _measured_with(run)
    for point in result["curve"]:
        final = point["progress"] >= 1 and point["phase"] == "clean"
        store.report({**start, **measured(point), **how, "comparable": final, "time": time})
    last = result["curve"][-1] if result["curve"] else None
    store.trial(
        {
            **start,
            "status": "failed" if result["error"] else "completed",
            "start": time,
            "end": time,
            "step": last["step"] if last else 0,
            "steps": run.spec.steps,
            "error": result["error"],
            "checkpoint": None,
            "final_fid": None if result["error"] else result["fid"],
            "final_bpd": None if result["error"] else result["bpd"],
            **{f"shape.{k}": v for k, v in _shape(run.spec.schedule, run.spec.steps).items()},
        }
    )


def _measured_with(run: Run) -> dict[str, Any]:
    _, reference = prepared(run.data)
    return {
        "extractor": reference.extractor.name,
        "extractor_sha256": reference.extractor.sha256,
        "extractor_resize": reference.extractor.resize,
        "fid_samples": FID_SAMPLES,
        "fid_final": "last",
        "ema": 0.0,
        "fid_reference": reference.split,
        "fid_reference_size": reference.count,
        "device": f"cpu ({platform.machine()})",
    }


def _shape(schedule: Schedule, steps: int) -> dict[str, float | int]:
    return {**shape_features(schedule), "clean_steps": clean_steps(schedule, steps)}


def _dataset(run: Run) -> str:
    # without the folder: where the file lies is nobody's business
    return run.data if run.data == "digits" else Path(run.data).name.replace(".parquet", "")


def _metadata(name: str, run: Run, time: datetime, space: Hyperspace) -> dict[str, Any]:
    splits, _ = prepared(run.data)
    spec, length = run.spec, run.spec.steps
    fixed: dict[str, Any] = {"name": spec.model, "batch_size": spec.training.batch_size}
    if not space:
        fixed["steps"] = length
    return {
        "name": name,
        "created": time.isoformat(),
        "status": "finished",
        "elapsed_seconds": 0.0,
        "config": {
            "name": name,
            "dataset": _dataset(run),
            "model": [fixed | {name: spelled_out(d) for name, d in space.dimensions.items()}],
            "stopping": {"policy": "none"},
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "machine": f"{platform.system()} {platform.machine()}",
        "dataset": {
            "name": _dataset(run),
            "sha256": splits.train.sha256,
            "shape": list(splits.shape),
            **splits.counts(),
        },
        "params": sorted([*parameter_types(families()), *space.dimensions]),
    }
