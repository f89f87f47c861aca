"""What every session needs before its first trial, checked before anything runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import SearchConfig, check_models
from mollitune.search.data.images import Images, Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors.extractor import (
    LENET,
    UNLABELLED,
    Extractor,
    Progress,
    cache_folder,
    prepare_extractor,
    usable_extractor,
)
from mollitune.search.metrics.extras.registry import check_extras, need_real_features
from mollitune.search.metrics.reference import RealStatistics, Reference, compute_statistics
from mollitune.search.terminal import working
from mollitune.search.training.programs import check_compiler
from mollitune.search.training.tryout import try_model
from mollitune.search.tune.cluster import check_gpus
from mollitune.search.tune.context import Context
from mollitune.search.tune.device import (
    apart,
    in_own_memory,
    trains_on_gpus,
)
from mollitune.search.tune.faults import MEMORY_ADVICE
from mollitune.search.tune.loggers import check_loggers
from mollitune.search.tune.placement import call_as_trial


def check_unchanged(metadata: dict[str, Any], context: Context) -> None:
    """Refuse to go on with other images or another extractor: values would not compare."""
    extractor = context.reference.extractor
    found = {"dataset": context.splits.train.sha256, "extractor": extractor.sha256}
    known = {name: metadata[name]["sha256"] for name in found}
    for other in context.reference.beside:
        found[f"extractor {other.extractor.name}"] = other.extractor.sha256
    for other in metadata["extractor"].get("beside", ()):
        known[f"extractor {other['name']}"] = other["sha256"]
    for name, digest in found.items():
        if known.get(name) != digest:
            raise MollituneError(
                f"the {name} has changed since the search began: sha256 {digest[:12]} instead of "
                f"{str(known.get(name))[:12]}; restore it, or start a search with a new name"
            )


def prepare(
    config: SearchConfig, folder: str, console: Console, reference: str = "validation"
) -> Context:
    """Load everything that may be wrong before the first trial.

    What concerns the machines that train, where this process is none of them, is left to
    `plan_evaluations`: a compiler, and models of the user's own. See `apart`.

    Args:
        config: What is run.
        folder: Folder of the search, a path or URI.
        console: Where it is told what was found.
        reference: Split of the data that FID compares with, ``validation`` or ``test``.

    Raises:
        MollituneError: If a logger, a GPU, the data, a model, the extractor or its cache cannot be
            used.
    """
    check_loggers(config.loggers, folder)
    check_gpus(config)
    if config.resources.compile and not apart(config):
        check_compiler("resources.compile")
    splits = split(load_images(config.dataset))
    config = config.for_images(len(splits.train))
    check_models(config, splits.shape)
    for entry in () if apart(config) else config.model:
        try_model(entry.name, entry, splits.train, torch.device("cpu"))
    console.print(f"data: {config.dataset}, {splits.described()}", soft_wrap=True)
    name, why = usable_extractor(config.fid.extractor, splits.train)
    if why:
        console.print(why, markup=False, highlight=False, soft_wrap=True)
        # as search.json will have it
        fid = config.fid.model_copy(update={"extractor": name})
        config = config.model_copy(update={"fid": fid})
    measured = _reference(config, name, splits, reference, console)
    return Context(config, splits, measured, folder, plans={})


def _reference(
    config: SearchConfig, name: str, splits: Splits, split: str, console: Console
) -> Reference:
    """Measure the real images in the features that decide, and in those of ``fid.beside``."""
    beside = []
    for other in config.fid.beside:
        usable, why = usable_extractor(other, splits.train, "fid.beside")
        if why:
            raise MollituneError(f"fid.beside: {other} needs labels; leave it out")
        beside.append(_measured(config, usable, splits, split, console, ()))
    found = _measured(config, name, splits, split, console, config.fid.extra)
    return replace(found, beside=tuple(beside))


def _measured(
    config: SearchConfig,
    name: str,
    splits: Splits,
    split: str,
    console: Console,
    extras: Sequence[str],
) -> Reference:
    """Measure the real images in the features of a network, or read what a search has measured."""
    with working(f"FID: training {name}", console) as progress:
        extractor = prepare_extractor(
            name, config.fid.weights, splits.train, cache_folder(), progress
        )
    images = {"validation": splits.validation, "test": splits.test}[split]
    try:
        keep = need_real_features(extras)
        check_extras(extras, min(config.fid.samples, len(images)), keep)
        with working(f"FID: measuring {len(images):,} {split} {images.noun}", console) as progress:
            found = Reference.measure(
                *(extractor, images, split, cache_folder()),
                keep_features=keep,
                compute=partial(statistics, config, progress=progress, say=partial(_say, console)),
            )
        console.print(
            f"FID: {extractor.name} {extractor.sha256[:12]} (resize: {extractor.resize}), against "
            f"{found.count} {split} {images.noun}",
            soft_wrap=True,
        )
        return found
    except ValueError as error:
        raise MollituneError(f"fid.extra: {error}") from None
    except OSError as error:
        raise MollituneError(
            f"cannot keep the statistics of the real images in {cache_folder()} "
            f"({first_line(error)}); set MOLLITUNE_CACHE to a folder that can be written"
        ) from None


def _described(extractor: Extractor) -> dict[str, Any]:
    fields = ("name", "sha256", "resize", "features")
    return {field: getattr(extractor, field) for field in fields}


def statistics(
    config: SearchConfig,
    extractor: Extractor,
    images: Images,
    keep_features: bool = False,
    *,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = print,
) -> RealStatistics:
    """Measure real images here, or with a large network on the GPU of a trial if there is one.

    Args:
        config: The search.
        extractor: The network; LeNet takes longer to bring to a GPU than to run here.
        images: Real images, at least two.
        keep_features: Whether to keep the features.
        progress: Is told how many images are done here, of how many.
        say: Is told every half a minute how long it takes elsewhere.

    Raises:
        MollituneError: If the network has no room in a trial's share of a GPU.
    """
    how = extractor, images, keep_features
    if extractor.name in (LENET, UNLABELLED) or not trains_on_gpus(config):
        return compute_statistics(*how, progress=progress)
    what = f"FID: measuring {len(images):,} images"
    return call_as_trial(_statistics_on, config, *how, what=what, say=say)


def _statistics_on(
    device: torch.device, extractor: Extractor, images: Images, keep_features: bool
) -> RealStatistics:
    try:
        with in_own_memory():
            return compute_statistics(extractor, images, keep_features, device=device)
    except torch.OutOfMemoryError as error:
        raise MollituneError(
            f"fid.extractor: {extractor.name} has no room on a GPU: {first_line(error)} "
            f"({MEMORY_ADVICE})"
        ) from error


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def describe(context: Context) -> dict[str, Any]:
    """Return what ``search.json`` says of a search: config, versions, data, extractor, plans."""
    splits, extractor = context.splits, context.reference.extractor
    packages = ("mollitune", "torch", "ray", "optuna", "torch-fidelity")
    return {
        "name": context.config.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": context.config.to_dict(),
        "objective": context.objective.to_dict(),
        "ladder": None if context.config.ladder is None else context.config.ladder.to_dict(),
        "constraint": None if context.config.bounded is None else context.config.bounded.to_dict(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, "
        f"{torch.cuda.device_count()} GPUs",
        "dataset": {
            "name": context.config.dataset,
            "sha256": splits.train.sha256,
            "shape": list(splits.shape),
            **splits.counts(),
        },
        "extractor": {
            **_described(extractor),
            "beside": [_described(other.extractor) for other in context.reference.beside],
        },
        "evaluation": {name: asdict(plan) for name, plan in context.plans.items()},
    }
