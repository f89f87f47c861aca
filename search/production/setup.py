"""What a production training works on, checked before its folder is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.models import is_own
from mollitune.search.data.images import Images, Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors.extractor import (
    Extractor,
    Progress,
    cache_folder,
    prepare_extractor,
    usable_extractor,
)
from mollitune.search.metrics.reference import Reference, compute_statistics
from mollitune.search.terminal import working
from mollitune.search.training.programs import check_compiler
from mollitune.search.training.settings import Training
from mollitune.search.training.spec import LAST
from mollitune.search.training.tryout import try_model

from .settings import ScheduleSource, TrainSettings


@dataclass(frozen=True)
class TrainSetup:
    """What a training works on.

    Arguments:
        splits: The images.
        validation: What FID compares with on the way.
        test: What it compares with at the end.
        device: Where to train.
        compiled: Whether `torch.compile` makes one piece of code of the training step.
    """

    splits: Splits
    validation: Reference
    test: Reference
    device: torch.device
    compiled: bool = False


def prepare_setup(
    settings: TrainSettings,
    weights: str | None,
    device: torch.device,
    console: Console,
    *,
    compiled: bool = False,
) -> TrainSetup:
    """Load images and extractor, and measure the real images.

    Args:
        settings: Of the training.
        weights: Weights file of the extractor ``inception-v3-compat``.
        device: Where to train.
        console: Where it is told what was loaded.
        compiled: Whether `torch.compile` is to make code of the training step.

    Raises:
        MollituneError: If one of them cannot be used, or the cache not be written.
    """
    if compiled:
        _check_compilable(settings.model)
    splits = split(load_images(settings.dataset))
    try_model(settings.model, settings, splits.train, device)
    _say(console, f"data: {settings.dataset}, {splits.described()}")
    name, why = usable_extractor(settings.extractor, splits.train)
    if why:
        _say(console, why)
    with working(f"FID: training {name}", console) as progress:
        extractor = prepare_extractor(name, weights, splits.train, cache_folder(), progress)
    with working("FID: measuring validation and test images", console) as progress:
        validation = _reference(extractor, splits.validation, "validation", device, progress)
        test = _reference(extractor, splits.test, "test", device, progress)
    _say(
        console,
        f"FID: {extractor.name} {extractor.sha256[:12]}, {settings.fid_samples:,} samples "
        f"against {validation.count:,} validation images, at the end {test.count:,} test images",
    )
    warning = test.small_sample_warning(settings.fid_samples)
    if warning:
        _say(console, f"warning: {warning}")
    return TrainSetup(splits, validation, test, device, compiled)


def _check_compilable(model: str) -> None:
    if not is_own(model):
        raise MollituneError(
            f"--compile is for Mollitune's own models, not for {model}; leave it out"
        )
    check_compiler("--compile")


def _reference(
    extractor: Extractor, images: Images, name: str, device: torch.device, progress: Progress
) -> Reference:
    try:
        return Reference.measure(
            *(extractor, images, name, cache_folder()),
            compute=partial(compute_statistics, device=device, progress=progress),
        )
    except OSError as error:
        raise MollituneError(
            f"cannot keep the statistics of the real images in {cache_folder()} "
            f"({first_line(error)}); set MOLLITUNE_CACHE to a folder that can be written"
        ) from None


def refuse_other(before: Mapping[str, Any], wanted: Mapping[str, Any], location: str) -> None:
    """Refuse a folder that holds another training, or one that failed.

    Args:
        before: Its ``train.json``.
        wanted: The settings that were asked for, the schedule among them.
        location: The folder, for the message.

    Raises:
        MollituneError: The message names what differs.
    """
    # what was no setting yet was as its default is
    there = {
        **Training().model_dump(),
        "keep": LAST,
        **before["settings"],
        "schedule": before["schedule"],
    }
    differing = [name for name, value in wanted.items() if there.get(name) != value]
    if differing:
        name = differing[0]
        more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
        raise MollituneError(
            f"{location} holds another training: {name} is {_short(there.get(name))} there, "
            f"{_short(wanted[name])} here{more}; choose another --output"
        )
    if before["status"] == "failed":
        raise MollituneError(
            f"the training in {location} failed: {before.get('failure')}; change the settings and "
            "choose another --output"
        )


def check_unchanged(
    before: Mapping[str, Any] | None,
    setup: TrainSetup,
    source: ScheduleSource,
    location: str,
    console: Console,
) -> None:
    """Refuse to go on with other images or another extractor; tell of others than the search's.

    Args:
        before: ``train.json`` of the training that goes on; None for a new one.
        setup: What was loaded.
        source: The schedule, with the hashes of its search.
        location: The folder, for the message.
        console: Where to tell.

    Raises:
        MollituneError: If they have changed since the training began.
    """
    found = {
        "dataset": setup.splits.train.sha256,
        "extractor": setup.test.extractor.sha256,
    }
    for name, digest in found.items():
        if before is not None and before[name]["sha256"] != digest:
            raise MollituneError(
                f"the {name} has changed since the training in {location} began: sha256 "
                f"{digest[:12]} instead of {before[name]['sha256'][:12]}; restore it, or choose "
                "another --output"
            )
        searched = source.provenance.get(f"{name}_sha256")
        if searched not in (None, digest):
            _say(console, f"note: this is another {name} than that of the search")


def pick_device(name: str | None) -> torch.device:
    """Return a device by torch's name for it; None: the GPU if there is one, else the CPU.

    Raises:
        MollituneError: If there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise MollituneError(
            f"--device {name}: {first_line(error)}; give cpu or cuda, or leave it out"
        ) from None
    return device


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
