"""What determines a production training: what was asked for, over what the search had."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from mollitune._errors import MollituneError
from mollitune.schedules import Schedule, build, families, load
from mollitune.search.metrics.extractors.names import check_extractor_name
from mollitune.search.plain_yaml import parse_yaml
from mollitune.search.policy.ladder import extrapolation
from mollitune.search.policy.space import FamilySpace
from mollitune.search.training.settings import RECIPES, Training, may_be_null
from mollitune.search.training.spec import BEST, Final, TrialSpec

FRESH = "runs"
"""Folder of the trainings that are given no folder."""
_OF_THE_SEARCH = ("model", "dataset", "steps", "extractor", "fid_samples", "keep")


class _What(BaseModel):
    model: str = Field(description="name of the model, or module:Class")
    dataset: str = Field(description="images, as in the config of a search")
    steps: int = Field(ge=2, le=10**9, description="training steps")


class TrainSettings(Training, _What):
    """Everything that determines a training besides its schedule and the bytes of the images."""

    seed: int = Field(0, ge=0, lt=2**31, description="seed of weights, batches and noise")
    extractor: str = Field("lenet", description="network behind the FID")
    fid_samples: int = Field(10_000, ge=2, le=10**7, description="generated images per FID")
    evaluations: int = Field(
        10, ge=1, le=10_000, description="evaluations on the way, the one at the end included"
    )
    keep: Literal["last", "best"] = Field(
        "last", description="weights to keep: the last, or the best by NLL of validation data"
    )

    @field_validator("extractor")
    @classmethod
    def _known(cls, name: str) -> str:
        check_extractor_name(name)
        return name

    def spec(self, schedule: Schedule) -> TrialSpec:
        """Return the trial that this training is."""
        return TrialSpec(
            model=self.model,
            schedule=schedule,
            seed=self.seed,
            steps=self.steps,
            every=1 / self.evaluations,
            training=Training.of(self),
            final=Final(best=self.keep == BEST),
        )

    def folder(self, schedule: Schedule) -> str:
        """Return where a training lies that is given no folder: ``runs/MODEL-DATASET-FAMILY``."""
        kind, _, path = self.dataset.partition(":")
        path = path if kind in ("parquet", "folder") else kind
        data = PurePath(path.rpartition("@")[0] or path).stem
        parts = (self.model, data, schedule.family)
        return f"{FRESH}/{'-'.join(re.sub('[^A-Za-z0-9._]+', '-', part) for part in parts)}"


@dataclass(frozen=True)
class ScheduleSource:
    """A schedule, and what its file tells of the search that it comes from.

    Arguments:
        name: What was given: a file, or a family.
        schedule: The schedule.
        document: The whole file; empty for a family.
    """

    name: str
    schedule: Schedule
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the schedule comes from; empty if the file does not tell."""
        return _mapping(self.document.get("provenance"))


def beyond(source: ScheduleSource, settings: TrainSettings) -> str | None:
    """Say in one line that a training is longer than all runs behind its schedule; None if not.

    Args:
        source: The schedule with its provenance.
        settings: Of the training.
    """
    steps = source.provenance.get("steps")
    batch = _mapping(source.provenance.get("training")).get("batch_size", settings.batch_size)
    if not isinstance(steps, int) or not isinstance(batch, int) or not steps * batch:
        return None
    ratio = settings.steps * settings.batch_size / (steps * batch)
    unit = "steps" if batch == settings.batch_size else f"steps of {batch} images"
    found = extrapolation(steps, settings.steps, unit, ratio)
    if found is None:
        return None
    return (
        f"{found}: whether mollification pays depends on the budget, so train --schedule "
        "vanilla as well"
    )


def read_schedule(name: str) -> ScheduleSource:
    """Read a schedule from an exported file, or take a family with the default of a search.

    Args:
        name: Path of a file, or the name of a family, such as ``vanilla``.

    Raises:
        MollituneError: If there is no such file and no such family, or the file is not legal.
    """
    path = Path(name).expanduser()
    if not path.exists() and name in families():
        try:
            build(name)  # has it a default for all it needs?
            return ScheduleSource(name, FamilySpace(name).default(side=0))
        except ValueError as error:
            raise MollituneError(f"--schedule {name}: {error}; give a file instead") from None
    if not path.exists():
        raise MollituneError(
            f"--schedule {name}: no such file, and no family; make one with mollitune best NAME "
            f"--export best.json, or give one of {', '.join(families())}"
        )
    schedule = load(path)
    return ScheduleSource(name, schedule, json.loads(path.read_text(encoding="utf-8")))


def settle(source: ScheduleSource, asked: Mapping[str, Any]) -> TrainSettings:
    """Return the settings of a training: what was asked for, then the search's, then defaults.

    The search's preset, hyperparameters, batch size, learning rate and average go with its
    model: another model starts from the defaults, and another preset without the search's
    hyperparameters, ``paper`` also without what its recipe says.

    Args:
        source: The schedule with its provenance.
        asked: Fields of `TrainSettings`; one that is None was not asked for, and 0 asks for none
            where that is legal: no average, no clipping.

    Raises:
        MollituneError: If a value is not legal, or the model, the data set or the steps are not
            known; the message names the option.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    for name, declared in Training.model_fields.items():
        if may_be_null(declared) and given.get(name) == 0:
            given[name] = None
    found = _of_the_search(source.provenance, given)
    if "preset" in given:
        for name in ("hparams", *RECIPES.get(given["preset"], {})):
            found.pop(name, None)
    hparams = {**_mapping(found.get("hparams")), **given.get("hparams", {})}
    try:
        return TrainSettings.model_validate({**found, **given, "hparams": hparams})
    except ValidationError as error:
        raise MollituneError(_sentence(error, source, given)) from None


def parse_hparams(texts: list[str]) -> dict[str, Any]:
    """Return hyperparameters that were given as ``key=value``; values are YAML.

    Raises:
        MollituneError: If one has another form.
    """
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise MollituneError(f"--hparams {text!r} is not of the form key=value")
        try:
            found[key] = parse_yaml(value)
        except ValueError as error:
            raise MollituneError(
                f"--hparams {text!r}: the value is not valid YAML ({error})"
            ) from None
    return found


def _of_the_search(provenance: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: provenance[name] for name in _OF_THE_SEARCH if name in provenance}
    if given.get("model") in (None, found.get("model")):
        training = _mapping(provenance.get("training"))
        # what an older search does not say was as a plain training is, whatever its preset
        plain = Training().model_dump() if training else {}
        found |= {name: training.get(name, value) for name, value in plain.items()}
    return found


def _sentence(error: ValidationError, source: ScheduleSource, given: Mapping[str, Any]) -> str:
    finding = error.errors()[0]
    name = str(finding["loc"][0])
    option = "--" + name.replace("_", "-")
    if finding["type"] == "missing":
        return f"{option} is missing: {source.name} does not say what its search used; give it"
    message = finding["msg"].removeprefix("Value error, ")
    origin = option if name in given else f"{source.name}: {name} of its search"
    return f"{origin} is {finding['input']!r}: {message}"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
