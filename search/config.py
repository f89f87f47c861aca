"""The search configuration: what a YAML file may say, checked before anything runs."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_serializer,
    model_validator,
)

from mollitune._errors import MollituneError
from mollitune.schedules import Option
from mollitune.schedules import families as family_names

from .data.tables import is_table
from .metrics.extractors.names import INCEPTION, beside_metric, check_extractor_name
from .plain_yaml import parse_yaml, read_yaml
from .policy.configuration import with_settings
from .policy.dimensions import contains, ends, spelled_out
from .policy.hyperspace import NOTHING, Hyperspace
from .policy.ladder import Ladder, scales_of
from .policy.rules import rule as find_rule
from .policy.rules import rules, spelled
from .policy.source import arms_within
from .policy.space import FamilySpace, parameter_types
from .store.columns import Metric
from .store.evaluation import MEASURED, OPTIONAL
from .store.objective import Constraint, Objective, constraint_of, objective_of
from .training.searchable import split
from .training.settings import PAPER_IMAGES, HalfLife, ModelTraining, Training
from .training.spec import BEST, LAST, Final

_REFERENCE = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*"
_IMAGES = {"digits", "parquet", "folder", "idx", "cifar10", "celeba", "mnist", "fashionmnist"}
_FOR_IMAGES = {"blur"}
"""Families that a table has no use for."""
_ANY_SHARE = [0.1, 1.0]
"""Of the training, that mollification may take."""

# Far above any real search, and low enough that a slip of some zeros cannot fill the memory.
MAX_STEPS = 10**9
MAX_RUNGS = 100

MAX_SHOWN = 400
"""Characters of a value or reason that a message repeats."""


class _Section(BaseModel):
    # strict, because YAML has types: `trials: "8"` or `trials: true` is a slip, not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _extra_name(name: str) -> str:
    from .metrics.extras.registry import check_extra_name

    return check_extra_name(name)


def _extra_metrics(names: list[str]) -> list[Metric]:
    from .metrics.extras.registry import extra

    return [metric for name in names for metric in extra(name).columns]


class FinalConfig(_Section):
    """Which evaluations make the value of a run: the last few, on clean data, or the best one."""

    marks: int = Field(
        3,
        ge=1,
        le=100,
        description="how many evaluations at the end make the value of a run, their mean; 1 (or "
        "final: last): the last one alone",
    )
    share: float = Field(
        0.1, gt=0, lt=1, description="in which last part of the training they are, as a share"
    )
    best: bool = Field(
        False,
        description="instead (final: best), keep the weights with the lowest NLL of "
        "validation data",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.best and self.marks > 1:
            raise ValueError("the best evaluation is one; write final: best")
        return self

    @property
    def spec(self) -> Final:
        """As a training takes it."""
        return Final(self.marks, self.share, self.best)


def _scheduler_name(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(rf"asha|{_REFERENCE}", name):
        raise ValueError("write asha, or module:function that returns a scheduler of Ray Tune")
    return name


def _searcher_name(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(rf"optuna(:[A-Za-z]+Sampler)?|{_REFERENCE}", name):
        raise ValueError(
            "write optuna, optuna:TPESampler or another of its samplers, or module:function that "
            "returns a searcher of Ray Tune"
        )
    return name


def _final(raw: object) -> object:
    if raw in (LAST, BEST):
        return {"marks": 1, "best": raw == BEST}
    if not isinstance(raw, dict | FinalConfig):
        raise ValueError("write last, best, or {marks: 3, share: .1}")
    return raw


class FidConfig(_Section):
    """How FID is measured during the search."""

    extractor: str = Field(
        "lenet",
        description="lenet (trained on the labels), lenet-unlabelled, inception-v3-compat, "
        "efficientnet-lite0, file:PATH or module:Class",
    )
    samples: int = Field(2000, ge=2, le=10**7, description="generated images per evaluation")
    every: float = Field(
        1 / 6, gt=0, le=1, description="share of the training between two evaluations"
    )
    final: Annotated[FinalConfig, BeforeValidator(_final)] = FinalConfig()
    weights: str | None = Field(None, description="weights file of inception-v3-compat")
    ema: HalfLife = Field(
        None, description="`ema` of each model without one; read for the sake of older configs"
    )
    beside: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        max_length=8,
        description="more extractors, such as efficientnet-lite0: at the end of each training FID "
        "is measured in their features, too; extractor decides, and a verdict says where they "
        "disagree",
    )
    extra: list[Annotated[str, AfterValidator(_extra_name)]] = Field(
        default=["kid", "prior"],
        description="more metrics: kid, prior (of VAEs, at the end of a training: FID with a "
        "fitted prior and of reconstructions), prc (precision and recall), fid_infinity, mind, or "
        "module:Class",
    )

    @model_validator(mode="after")
    def _known_extractor(self) -> Self:
        for name in (self.extractor, *self.beside):
            check_extractor_name(name)
        if self.extractor in self.beside:
            raise ValueError(f"beside names {self.extractor}, which decides already; leave it out")
        _unique([metric.name for metric in map(beside_metric, self.beside)], "beside")
        if self.extractor != INCEPTION and self.weights is not None:
            raise ValueError(f"weights belongs to {INCEPTION}, not to {self.extractor}")
        _unique(self.extra, "extra")
        return self

    @property
    def metrics(self) -> list[Metric]:
        """What is measured besides what every search measures."""
        return [*_extra_metrics(self.extra), *map(beside_metric, self.beside)]

    @property
    def own_metrics(self) -> list[Metric]:
        """Those of `metrics` whose columns not every search has."""
        return [metric for metric in self.metrics if metric.name not in OPTIONAL]


Logger = Literal["tensorboard", "mlflow", "wandb"]


class StoppingConfig(_Section):
    """Which runs stop early, and which configurations get more seeds.

    Rungs compare only values of equal age, taken on clean data or after a cooldown branch.
    """

    policy: Annotated[str, BeforeValidator(partial(spelled, others=("race",)))] = Field(
        "race",
        description="race: the best configurations get more seeds; or a rule for one run each: "
        f"{', '.join(f'{name} ({find_rule(name).description})' for name in rules())}, "
        "or module:Class",
    )
    within: Annotated[str, BeforeValidator(spelled)] = Field(
        "none",
        description="what stops the first run of a configuration in a race: "
        f"{', '.join(rules())} or module:Class",
    )
    grace: float = Field(
        2 / 3,
        gt=0,
        le=1,
        description="progress of the first rung, the only one of late_cut (late: earlier FID "
        "ranks noise)",
    )
    reduction_factor: float = Field(
        3, gt=1, description="the best 1/reduction_factor of a rung continue"
    )
    min_competitors: int = Field(
        3, ge=2, description="a rung stops no run before it holds this many values"
    )
    max_seeds: int = Field(
        5,
        ge=1,
        le=1000,
        description="most complete runs per configuration in a race, each with a new seed",
    )
    probe_extra: float = Field(
        0.3, gt=0, description="length of a cooldown branch as a share of the steps so far"
    )
    audit: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of the trials due to be stopped that are trained to the end anyway, to "
        "check that stopping was right",
    )

    @model_validator(mode="after")
    def _few_rungs(self) -> Self:
        if -math.log(self.grace) > MAX_RUNGS * math.log(self.reduction_factor):
            raise ValueError(
                f"grace {self.grace} and reduction_factor {self.reduction_factor} make more than "
                f"{MAX_RUNGS} rungs; raise one of them"
            )
        if any(mark >= after for mark, after in pairwise((0.0, *self.marks))):
            raise ValueError(f"the rungs of {self.rule} must rise from above 0, got {self.marks}")
        return self

    @property
    def races(self) -> bool:
        """Whether the best configurations get more seeds."""
        return self.policy == "race"

    @property
    def rule(self) -> str:
        """What stops a run early, in a race or without one."""
        return self.within if self.races else self.policy

    @property
    def marks(self) -> tuple[float, ...]:
        """Progress of the rungs inside a run, rising, in (0, 1)."""
        found = find_rule(self.rule).marks(self.grace, self.reduction_factor)
        return tuple(mark for mark in found if mark < 1)

    @property
    def probe_at(self) -> tuple[float, ...]:
        """Progress of the rungs at which a cooldown branch is measured."""
        return self.marks if find_rule(self.rule).probes else ()


class ConfirmConfig(_Section):
    """How the recommended schedules are confirmed on fresh seeds."""

    top: int = Field(
        3, ge=1, le=100, description="how many recommended schedules of each model are confirmed"
    )
    seeds: int = Field(5, ge=2, le=1000, description="fresh seeds per schedule, the same for all")
    samples: int = Field(
        10_000, ge=2, le=10**7, description="generated images behind each FID, on test images"
    )


ResourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_:.-]*$", max_length=100)]
Amount = Annotated[float, Field(ge=1e-4)]  # Ray counts in ten-thousandths
_RAY_OWN = {"cpu", "gpu", "memory", "object_store_memory", "custom_resources", "bundle"}


MOST_STACKED = 16
"""Trials in one process with ``resources.stack: auto``, at most."""


def _check_stack(value: object) -> object:
    # one line for both kinds of value, where a union would have two
    if value == "auto" or (type(value) is int and 1 <= value <= 1024):
        return value
    raise ValueError("must be auto, or a whole number from 1 to 1024")


def _check_share(share: float | None) -> float | None:
    if share is not None and share > 1:
        raise ValueError("must be at most 1: a trial trains on one GPU; for more at once: workers")
    return share


class ResourcesConfig(_Section):
    """What one trial occupies."""

    cpu: float = Field(1, gt=0, description="CPU cores per trial")
    gpu: Annotated[float | None, AfterValidator(_check_share)] = Field(
        None,
        ge=0,
        description="GPU share per trial, up to 1; null: divide the GPUs among the workers",
    )
    stack: Annotated[int | Literal["auto"], BeforeValidator(_check_stack)] = Field(
        1,
        description="trials that one process trains side by side, as one: for small models; "
        f"auto: up to {MOST_STACKED}, where that is measured to be faster",
    )
    compile: bool = Field(
        False,
        description="compile each model's training step (torch.compile): takes some minutes at "
        "the start, then steps are faster",
    )
    cuda_graphs: bool = Field(
        False,
        description="launch the training steps of Mollitune's own models as CUDA graphs, for "
        "small models on a GPU",
    )
    custom: dict[ResourceName, Amount] = Field(
        default_factory=dict,
        description="Ray resources of other names per trial, e.g. "
        "{'accelerator_type:A100': 0.001}",
    )
    checkpoint_seconds: float = Field(
        60.0, ge=0, description="time between two checkpoints of a trial: what a fault costs it"
    )
    show_output: bool = Field(
        False, description="show what the processes of the trials print, such as a model of yours"
    )
    retries: int = Field(
        2, ge=0, le=1000, description="how often a trial that fails is tried again"
    )
    hang_seconds: float | None = Field(
        1800.0,
        gt=0,
        description="longest time of one training step or one batch of an evaluation: a trial "
        "that takes longer is killed and tried again; null: wait for ever",
    )

    @property
    def most_stacked(self) -> int:
        """Trials that one process takes, at most."""
        return MOST_STACKED if self.stack == "auto" else self.stack

    @model_validator(mode="after")
    def _amounts_of_ray(self) -> Self:
        for name, amount in self.custom.items():
            if name.lower() in _RAY_OWN:
                raise ValueError(f"custom names {name!r}, which is Ray's own; use cpu or gpu")
            if amount > 1 and amount % 1:
                raise ValueError(
                    f"custom asks for {amount:g} of {name!r}; above 1 Ray takes whole numbers only"
                )
        return self


_LENGTHS = {"steps", "images", "epochs"}
"""Keys that say how long a training is."""

MODELS = ("beta_vae", "glow", "hvae", "iwae", "maf", "realnvp", "vae", "vae_iaf")
"""What `mollitune.models.models` returns, for whoever does not wait for torch to say it."""


class _Entry(_Section):
    name: str = Field(description="a model's name, or module:Class")
    steps: int | None = Field(
        None, ge=2, le=MAX_STEPS, description="training steps; null: the search's steps"
    )


class ModelConfig(ModelTraining, _Entry):
    """One model to train, with what it overrides.

    Each number, name and switch of `ModelTraining` and of ``hparams`` may be searched instead, in
    the notation of `dimension`; its field then holds the value of the first runs.
    """

    _hyperspace: Hyperspace = PrivateAttr(default=NOTHING)

    @property
    def hyperspace(self) -> Hyperspace:
        """What is searched."""
        return self._hyperspace

    @property
    def always_averages(self) -> bool:
        """Whether every training of the model has averaged weights."""
        found = self._hyperspace.dimensions.get("ema")
        return self.ema is not None if found is None else not contains(found, 0)

    @model_validator(mode="wrap")
    @classmethod
    def _with_dimensions(cls, raw: object, handler: Any) -> Self:
        if not isinstance(raw, dict):
            made: Self = handler(raw)
            return made
        fixed, space = split(raw)
        # every end by itself, so that the message names the key and the value
        for name, found in space.dimensions.items():
            for value in ends(found):
                handler(with_settings(fixed, {name: value}))
        made = handler(with_settings(fixed, dict(space.first)))
        made._hyperspace = space
        return made

    @model_serializer(mode="wrap")
    def _as_written(self, handler: Any) -> dict[str, Any]:
        searched = {name: spelled_out(d) for name, d in self._hyperspace.dimensions.items()}
        return with_settings(handler(self), searched)


def _models(value: object) -> list[object]:
    return [{"name": own} if isinstance(own, str) else own for own in _as_list(value)]


def _families(value: object) -> object:
    return [FamilySpace.parse(entry) for entry in _as_list(value)]


def _unique(names: list[str], key: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{key} lists {', '.join(twice)} more than once")


def _check_ladder(config: SearchConfig) -> None:
    targets = [f"target_{unit}" for unit in ("steps", "images", "epochs")]
    given = [name for name in targets if getattr(config, name) is not None]
    if given and given != [f"target_{config.unit}"]:
        raise ValueError(
            f"{' and '.join(given)}: this search counts in {config.unit}; say target_{config.unit}"
        )
    try:
        scales_of(1, [1] if config.budgets is None else config.budgets)
    except ValueError as error:
        raise ValueError(f"budgets {config.budgets}: {error}") from None
    try:
        ladder = config.ladder
    except ValueError as error:
        raise ValueError(f"target_{config.unit} {config.target:,.10g}: {error}") from None
    if ladder is None:
        return
    if config.sampler != "shape":
        raise ValueError(f"sampler {config.sampler!r} chooses no budgets; with several: shape")
    if config.stopping.rule != "none":
        raise ValueError(
            "with several budgets every trial is trained to its end; leave "
            f"{config.stopping.rule} out of stopping"
        )


def _check_plugged(config: SearchConfig) -> None:
    """Refuse what a searcher or scheduler of Ray Tune takes the place of."""
    if config.scheduler is not None and config.stopping.rule != "none":
        raise ValueError(
            f"scheduler {config.scheduler!r} stops trials, and so does stopping "
            f"({config.stopping.rule}); leave one of the two out"
        )
    for key in ("scheduler", "search_alg"):
        if getattr(config, key) is not None and config.ladder is not None:
            raise ValueError(f"{key} knows nothing of several budgets; leave it, or them, out")
    if config.search_alg is not None and config.prior:
        raise ValueError("search_alg learns from no prior; leave one of the two out")


def _check_objective(config: SearchConfig) -> None:
    try:
        found = config.minimised
    except ValueError as error:
        raise ValueError(f"objective {config.objective!r}: {error}") from None
    try:
        bounded = config.bounded
        if bounded is not None and bounded.metric == found:
            raise ValueError("it bounds the objective itself; name another metric")
    except ValueError as error:
        raise ValueError(f"constraint {config.constraint}: {error}") from None
    rule = config.stopping.rule
    if find_rule(rule).probes and not found.is_fid:
        raise ValueError(
            f"objective {config.objective!r}: a cooldown branch measures FID alone; stop by "
            f"another rule than {rule}"
        )


def _check_budget(config: SearchConfig) -> None:
    given = [name for name in ("steps", "images", "epochs") if name in config.model_fields_set]
    if len([name for name in given if getattr(config, name) is not None]) > 1:
        raise ValueError(f"{' and '.join(given)} all say how long to train; give one of them")
    in_images = config.images is not None or config.epochs is not None
    for entry in config.model:
        searched = "batch_size" in entry.hyperspace.dimensions
        if searched and (entry.steps is not None or not in_images):
            raise ValueError(
                f"batch_size of {entry.name} is searched, and so many steps of unlike batches are "
                "unlike trainings; say how long to train with images or epochs instead of steps"
            )


def _check_final(config: SearchConfig) -> None:
    """Refuse evaluations that would be on clean data for some schedules only: earlier is worse."""
    first = config.fid.final.spec.progress()[0]
    for space in config.families:
        if space.latest > first + 1e-9:
            raise ValueError(
                f"until of {space.family} reaches {space.latest:g}, and fid.final averages "
                f"evaluations from {first:g} on, where the data must be clean; lower one of the "
                "two, or write fid.final: last"
            )


def _check_columns(config: SearchConfig) -> None:
    """Refuse a schedule parameter that has the name of a hyperparameter: one column for each."""
    searched = {name for entry in config.model for name in entry.hyperspace.dimensions}
    if twice := sorted(searched & parameter_types(f.family for f in config.families).keys()):
        raise ValueError(f"{', '.join(twice)} is searched, and a family has a parameter of it")


def _check_table(config: SearchConfig) -> None:
    for family in {space.family for space in config.families} & _FOR_IMAGES:
        if is_table(config.dataset):
            raise ValueError(
                f"{family} is for images, and {config.dataset} is a table; leave it out"
            )


def _refuse_foreign(models: list[str]) -> None:
    from mollitune.models import is_own

    for name in models:
        if not is_own(name):
            raise ValueError(
                f"resources.compile is for Mollitune's own models, not for {name}; leave it out"
            )


class SearchConfig(_Section):
    """One search. Every field is a top-level key of the YAML file."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True
    )

    name: str = Field(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=100, description="folder of results"
    )
    dataset: str = Field(
        "digits", description="a path to images or to a table, digits, cifar10, wine, ..."
    )
    model: Annotated[list[ModelConfig], BeforeValidator(_models)] = Field(
        min_length=1, description="one model or a list"
    )
    families: Annotated[list[FamilySpace], BeforeValidator(_families)] = Field(
        default_factory=lambda: [FamilySpace(n) for n in family_names() if n != "vanilla"],
        min_length=1,
        description="schedule families to search; vanilla is always an arm",
    )
    trials: int = Field(24, ge=1, le=100_000, description="trials of the whole search")
    arms: int | None = Field(
        None,
        ge=1,
        description="how many of vanilla and the families' defaults each model tries first; null: "
        "a quarter of its trials, or 3 in a small search",
    )
    workers: int = Field(2, ge=1, le=100_000, description="trials at once")
    seed: int = Field(
        0,
        ge=0,
        lt=2**31,
        description="seed of sampler, weights, batches and noise; repeated runs count up from it",
    )
    steps: int = Field(1000, ge=2, le=MAX_STEPS, description="training steps at full budget")
    images: int | None = Field(
        None, ge=2, le=10**15, description="training images of the full budget, instead of steps"
    )
    epochs: float | None = Field(
        None, gt=0, le=10**6, description="passes over the training images, instead of steps"
    )
    budgets: list[Annotated[float, Field(gt=0, le=10**15)]] | None = Field(
        None,
        max_length=MAX_RUNGS,
        description="lengths of the trials, where several are compared: in steps, or whatever the "
        "search counts in; a list that begins with 1 is in multiples of that length",
    )
    target_steps: int | None = Field(
        None, ge=2, le=10**15, description="training steps of production: what is searched for"
    )
    target_images: int | None = Field(
        None, ge=2, le=10**15, description="the same in training images, for searches with images"
    )
    target_epochs: float | None = Field(
        None, gt=0, le=10**9, description="the same in epochs, for searches with epochs"
    )
    prior: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        max_length=20,
        description="earlier searches to learn from, names or paths: of the same or other data, "
        "models and budgets; how far each agrees is learned",
    )
    stopping: StoppingConfig = StoppingConfig()
    sampler: Literal["shape", "tpe", "gp", "random"] = Field(
        "shape",
        description="what chooses configurations: shape (a Gaussian process on the curves' "
        "shapes), Optuna's tpe or gp on their parameters, or random",
    )
    scheduler: Annotated[str | None, AfterValidator(_scheduler_name)] = Field(
        None,
        description="a scheduler of Ray Tune in place of early stopping: asha (stock "
        "ASHAScheduler), or module:function that returns one",
    )
    search_alg: Annotated[str | None, AfterValidator(_searcher_name)] = Field(
        None,
        description="a searcher of Ray Tune in place of sampler and race: optuna (stock "
        "OptunaSearch), optuna:CmaEsSampler and the like, or module:function that returns one",
    )
    baseline: Literal["ray-asha"] | None = Field(
        None, description="ray-asha: what one would use without Mollitune, asha and optuna"
    )
    vanilla_share: float = Field(
        1 / 3,
        gt=0,
        lt=1,
        description="share of the new configurations that are vanilla, where hyperparameters are "
        "searched: vanilla is tuned, too",
    )
    objective: str = Field(
        "fid",
        description="the metric that is optimised: fid, bpd, nll (of a table the default), or one "
        "of fid.extra",
    )
    constraint: dict[str, str] | None = Field(
        None,
        description="what a second metric must keep to be recommended, such as "
        "{bpd: <= vanilla + 0.02} or {bpd: <= 3.5}",
    )
    fid: FidConfig = FidConfig()
    confirm: ConfirmConfig = ConfirmConfig()
    resources: ResourcesConfig = ResourcesConfig()
    loggers: list[Logger] = Field(
        default_factory=list,
        description="copies of the results for other tools: tensorboard (in the search's folder), "
        "mlflow, wandb; each needs its package",
    )
    results: str = Field("results", description="folder that holds one folder per search")
    storage: str | None = Field(None, description="file system URI that replaces results")
    address: str | None = Field(
        None,
        description="Ray cluster to join; null: that of RAY_ADDRESS, if it is set, or this "
        "machine; local: this machine",
    )

    @model_validator(mode="before")
    @classmethod
    def _averages_of_models(cls, raw: object) -> object:
        """Move ``fid.ema`` to the models, whose setting it is; nothing behind here knows it."""
        if not isinstance(raw, dict) or not {"fid", "model"} <= raw.keys():
            return raw
        try:
            fid = FidConfig.model_validate(raw["fid"])
        except ValidationError:
            return raw  # it is refused in its place
        if fid.ema is None:
            return raw
        entries = [
            entry.model_dump(exclude_unset=True) if isinstance(entry, ModelConfig) else entry
            for entry in _models(raw["model"])
        ]
        models = [{"ema": fid.ema, **e} if isinstance(e, dict) else e for e in entries]
        return {**raw, "fid": fid.model_copy(update={"ema": None}), "model": models}

    @model_validator(mode="before")
    @classmethod
    def _of_tables(cls, raw: object) -> object:
        """Let a table be judged by the likelihood of the best weights, as is usual for tables."""
        if not isinstance(raw, dict) or not is_table(str(raw.get("dataset", ""))):
            return raw
        families: list[object] = [n for n in family_names() if n not in {"vanilla", *_FOR_IMAGES}]
        fid = raw.get("fid", {})
        how = {"fid": {"final": BEST, "every": 0.05, **fid}} if isinstance(fid, dict) else {}
        if how and how["fid"]["final"] in (BEST, LAST):  # no mean needs clean data before the end
            families = [{name: {"until": _ANY_SHARE}} for name in families]
        return {"objective": "nll", "families": families, **raw, **how}

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, raw: object) -> object:
        """Train as long as the paper, where every model is the paper's and no length is given."""
        if not isinstance(raw, dict) or "model" not in raw or _LENGTHS & raw.keys():
            return raw
        entries = [
            entry if isinstance(entry, dict) else {"preset": getattr(entry, "preset", None)}
            for entry in _models(raw["model"])
        ]
        published = all(own.get("preset") == "paper" and "steps" not in own for own in entries)
        return {**raw, "images": PAPER_IMAGES} if entries and published else raw

    @model_validator(mode="before")
    @classmethod
    def _stock(cls, raw: object) -> object:
        if not isinstance(raw, dict) or raw.get("baseline") != "ray-asha":
            return raw
        stopping = {"stopping": {"policy": "none"}}
        return {**stopping, **raw, "scheduler": "asha", "search_alg": "optuna"}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.root.rstrip("/").endswith(":"):
            raise ValueError(f"storage {self.root} names no bucket or folder; add it")
        _unique([entry.name for entry in self.model], "model")
        _unique([entry.family for entry in self.families], "families")
        _unique(list(self.loggers), "loggers")
        _unique(self.prior, "prior")
        if self.prior and self.sampler != "shape":
            raise ValueError(f"sampler {self.sampler!r} learns from no prior; shape does")
        if self.resources.stack != 1 and all(entry.always_averages for entry in self.model):
            raise ValueError(
                "resources.stack trains no averaged weights, and every model has ema; leave one "
                "of the two out"
            )
        if self.resources.compile:
            _refuse_foreign([entry.name for entry in self.model])
        _check_objective(self)
        _check_budget(self)
        _check_ladder(self)
        _check_plugged(self)
        _check_final(self)
        _check_columns(self)
        _check_table(self)
        return self

    @property
    def minimised(self) -> Objective:
        """The objective, as a metric of which lower values are better.

        Raises:
            ValueError: If it is not measured.
        """
        return self._metric(self.objective)

    @property
    def bounded(self) -> Constraint | None:
        """The constraint; None without one.

        Raises:
            ValueError: If it cannot be read, or its metric is not measured.
        """
        if self.constraint is None:
            return None
        if len(self.constraint) != 1:
            raise ValueError("must name one metric, as in {bpd: <= vanilla + 0.02}")
        ((name, text),) = self.constraint.items()
        return constraint_of(self._metric(name), text)

    def _metric(self, name: str) -> Objective:
        return objective_of(name, () if name in MEASURED else self.fid.metrics)

    @property
    def root(self) -> str:
        """The folder or URI that holds the folders of searches."""
        return self.storage if self.storage is not None else self.results

    @model_validator(mode="after")
    def _enough_trials(self) -> Self:
        least = len(self.model) * self.arms_of_each
        if self.trials < least:
            raise ValueError(
                f"trials is {self.trials}; at least {least} are needed for {self.arms_of_each} "
                "arm(s) of each model"
            )
        return self

    @property
    def arms_of_each(self) -> int:
        """How many of vanilla and the families' defaults each model tries first."""
        known = 1 + len([space for space in self.families if space.family != "vanilla"])
        if self.arms is not None:
            return min(known, self.arms)
        return arms_within(known, self.trials / len(self.model))

    @property
    def ladder(self) -> Ladder | None:
        """The budgets; None where there is one.

        Raises:
            ValueError: If they do not rise up to the target.
        """
        return Ladder.of(float(getattr(self, self.unit)), self.budgets, self.target)

    @property
    def unit(self) -> str:
        """What the length of training is counted in: ``steps``, ``images`` or ``epochs``."""
        given = [name for name in ("images", "epochs") if getattr(self, name) is not None]
        return given[0] if given else "steps"

    @property
    def target(self) -> float | None:
        """Production's budget in that unit; None if it is not named."""
        found: float | None = getattr(self, f"target_{self.unit}")
        return found

    def steps_of(
        self, model: str, settings: Mapping[str, Option] | None = None, scale: float = 1.0
    ) -> int:
        """Return the training steps of one model at full budget.

        Args:
            model: Its name.
            settings: Hyperparameters of a configuration; by default those of the first runs. With
                ``images`` the batch size decides.
            scale: The budget, as a multiple of the config's own.
        """
        entry = self.model_entry(model)
        if entry.steps is not None or self.images is None:
            return max(2, round(scale * (self.steps if entry.steps is None else entry.steps)))
        batch = (settings or {}).get("batch_size", entry.batch_size)
        return max(2, round(scale * self.images / int(batch)))

    def length_of(self, model: str, scale: float = 1.0) -> str:
        """Say how long the trials of one model train."""
        if "batch_size" in self.model_entry(model).hyperspace.dimensions:
            return f"{self.images_of(model, scale):,} images"
        return f"{self.steps_of(model, scale=scale):,} steps"

    def images_of(self, model: str, scale: float = 1.0) -> int:
        """Return the training images of one model at a budget, the same for all its trials."""
        if self.model_entry(model).steps is None and self.images is not None:
            return round(scale * self.images)
        return self.steps_of(model, scale=scale) * self.model_entry(model).batch_size

    def for_images(self, count: int) -> Self:
        """Return the config with its epochs told as images.

        Args:
            count: Training images.

        Raises:
            MollituneError: If a batch would be larger than the data.
        """
        for entry in self.model:
            found = entry.hyperspace.dimensions.get("batch_size")
            largest = max(map(int, ends(found))) if found else 0
            if largest > count:
                raise MollituneError(
                    f"model {entry.name}: batch_size is searched up to {largest}, more than the "
                    f"{count:,} training images"
                )
        if self.epochs is None:
            return self
        update: dict[str, Any] = {"images": max(2, round(self.epochs * count)), "epochs": None}
        if self.budgets is not None and self.budgets[0] != 1:
            update["budgets"] = [budget * count for budget in self.budgets]
        if self.target_epochs is not None:
            update |= {"target_images": round(self.target_epochs * count), "target_epochs": None}
        return self.model_copy(update=update)

    def model_entry(self, name: str) -> ModelConfig:
        """Return the entry of one model.

        Raises:
            KeyError: If the search has no such model.
        """
        for entry in self.model:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved configuration as plain JSON values."""
        plain = self.model_dump(exclude={"families": True, "fid": {"ema"}})
        # resolved, so that a search that is extended keeps the arms that it had
        plain["arms"] = self.arms_of_each
        plain["families"] = [family.to_dict() for family in self.families]
        if self.images is not None or self.epochs is not None:
            del plain["steps"]  # which only one of the three may say
        return plain


def load_config(path: str | Path, overrides: list[str] | None = None) -> SearchConfig:
    """Read a YAML configuration and apply ``key=value`` overrides.

    Args:
        path: The YAML file; or images, as ``dataset`` names them: a short search of a VAE on them,
            with defaults for the rest.
        overrides: Strings such as ``trials=50`` or ``fid.samples=500``; values are YAML.

    Raises:
        MollituneError: If the file cannot be read or anything in it is not allowed. The message
            names the key, its value and what is allowed.
    """
    raw = raw_config(path)
    for override in overrides or []:
        _apply_override(raw, override)
    return checked_config(raw, str(path))


def raw_config(path: str | Path) -> dict[str, Any]:
    """Read the keys of a YAML file, or make some for images; none is checked.

    Raises:
        MollituneError: If it cannot be read, or is no mapping.
    """
    return _on_images(str(path)) or _read_mapping(Path(path))


def checked_config(raw: dict[str, Any], path: str) -> SearchConfig:
    """Check the keys and values of a configuration.

    Args:
        raw: The keys, as YAML has them.
        path: Where they come from, for messages.

    Raises:
        MollituneError: If anything in it is not allowed. The message names the key, its value and
            what is allowed.
    """
    if unknown := _unknown_keys(raw):
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        key = _shown(".".join(map(str, unknown[0])))
        raise MollituneError(f"{path}: unknown key {key}; {_allowed(unknown[0])}{more}")
    try:
        return SearchConfig.model_validate(raw)
    except ValidationError as error:
        raise MollituneError(f"{path}: {_one_line(error)}") from None


def _on_images(source: str) -> dict[str, Any] | None:
    """Return the shortest config for a data set, or None if it is not the name of one."""
    kind, _, rest = source.partition(":")
    known = kind in _IMAGES or source in _IMAGES
    table = is_table(source)
    if not (known or table or Path(source).is_dir() or source.endswith(".parquet")):
        return None
    stem = Path(rest.rpartition("@")[0] or rest or source).stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")
    # a first look: minutes on a laptop; a real search has the steps of the training it is for
    short = {"steps": 200, "trials": 12}
    model = "maf" if table else "vae"
    return {"name": name or "images", "dataset": source, "model": model, **short}


def check_names(config: SearchConfig, path: str) -> None:
    """Check the names of models that are Mollitune's, without torch, which takes seconds.

    Raises:
        MollituneError: If one is neither that of a model nor ``module:Class``.
    """
    for name in [entry.name for entry in config.model if ":" not in entry.name]:
        if name not in MODELS:
            hint = _meant(difflib.get_close_matches(name, MODELS, n=1))
            raise MollituneError(
                f"{path}: model {name!r} is unknown; {hint}allowed: {', '.join(MODELS)}, or "
                "module:Class"
            )


def check_models(config: SearchConfig, shape: tuple[int, ...] | None) -> None:
    """Build every model of the search once, so that a bad argument fails before any trial.

    Args:
        config: The search.
        shape: Shape (C, H, W) of its images, or (D,) of its rows; None if it is not known yet:
            only names are checked.

    Raises:
        MollituneError: If a model is unknown or does not accept its arguments or image shape.
    """
    from mollitune.models import is_own, preset, takes_vectors

    from .training.tryout import built

    for entry in config.model:
        of_rows = shape is not None and len(shape) == 1
        if of_rows and is_own(entry.name) and entry.name not in takes_vectors():
            raise MollituneError(
                f"model {entry.name} is for images, and {config.dataset} is a table; take "
                f"{', '.join(takes_vectors()[:-1])} or {takes_vectors()[-1]}"
            )
        try:
            preset(entry.name, shape or (1, 64, 64), entry.preset)
        except ValueError as error:
            raise MollituneError(f"model {entry.name}: {error}") from None
        if shape is not None:
            for how in _extremes(entry):
                built(entry.name, how, shape)


def _extremes(entry: ModelConfig) -> Iterator[ModelTraining]:
    """Yield the training of the first runs, and those at the ends of the model's own settings."""
    yield entry
    own = [name for name in entry.hyperspace.dimensions if name.startswith("hparams.")]
    for corner in entry.hyperspace.corners(own) if own else ():
        yield Training.of(entry, corner)


def _read_mapping(path: Path) -> dict[str, Any]:
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise MollituneError(f"{path}: a config is a mapping of keys to values, e.g. `name: run1`")
    return raw


def _apply_override(raw: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise MollituneError(f"override {_shown(override)} is not of the form key=value")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise MollituneError(
            f"override {_shown(override)}: the value is not valid YAML ({error})"
        ) from None
    *parents, leaf = key.split(".")
    if parents[:1] == ["model"]:  # for all models, however they are written
        raw["model"] = _models(raw.get("model", {}))
    targets = [raw]
    for parent in parents:
        targets = [part for target in targets for part in _parts(target.setdefault(parent, {}))]
        if not all(isinstance(target, dict) for target in targets):
            raise MollituneError(
                f"override {_shown(override)}: {_shown(parent, str)} has no keys of its own"
            )
    for target in targets:
        target[leaf] = value


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _unknown_keys(raw: dict[str, Any]) -> list[tuple[int | str, ...]]:
    """Return where a config has keys that it may not have."""
    found: list[tuple[int | str, ...]] = [(k,) for k in raw if k not in SearchConfig.model_fields]
    for name, section in _SECTIONS.items():
        value: Any = raw
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        entries = enumerate(value) if isinstance(value, list) else [(None, value)]
        for i, entry in entries:
            where: tuple[int | str, ...] = (*name.split("."), *(() if i is None else (i,)))
            keys = entry if isinstance(entry, dict) else ()
            found += [(*where, key) for key in keys if key not in section.model_fields]
    return found


def _one_line(error: ValidationError) -> str:
    """Describe the first finding: key, value and what is allowed."""
    finding = error.errors()[0]
    key = _shown(".".join(str(part) for part in finding["loc"]))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if finding["type"] == "missing":
        return f"key {key} is missing{more}"
    message = _shown(finding["msg"].removeprefix("Value error, "), str)
    if not finding["loc"]:
        return f"{message}{more}"  # of several keys, which it names
    shown = finding["input"]
    value = (
        f" is {_shown(shown)}"
        if isinstance(shown, str | int | float | bool) or shown is None
        else ""
    )
    return f"key {key}{value}: {message}{more}"


def _shown(value: object, spell: Callable[[object], str] = repr) -> str:
    """A value in a message, of a very long one the beginning."""
    text = spell(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _allowed(location: tuple[int | str, ...]) -> str:
    """Say what stands in place of an unknown key: one like it, or the same a level lower."""
    key = str(location[-1])
    where = ".".join(part for part in location[:-1] if isinstance(part, str))
    section = _SECTIONS[where] if where else SearchConfig
    names = list(section.model_fields)
    meant = difflib.get_close_matches(key, names, n=1)
    if len(location) == 1:
        lower = [f"{name}.{key}" for name, part in _SECTIONS.items() if key in part.model_fields]
        meant = lower or meant
    return f"{_meant(meant)}allowed: {', '.join(names)}"


def _meant(names: list[str]) -> str:
    return f"did you mean {' or '.join(map(repr, names))}? " if names else ""


_SECTIONS: dict[str, type[BaseModel]] = {
    "fid": FidConfig,
    "fid.final": FinalConfig,
    "confirm": ConfirmConfig,
    "stopping": StoppingConfig,
    "resources": ResourcesConfig,
    "model": ModelConfig,
}
