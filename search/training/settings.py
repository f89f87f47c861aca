"""How a model is trained: each setting is declared here, once, with its default and its bounds.

The config of a search, `mollitune train` and its options, `TrialSpec` and the docs follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic.fields import FieldInfo

from mollitune.schedules import Option
from mollitune.search.policy import with_settings

Precision = Literal["fp32", "tf32", "bf16"]
Optimiser = Literal["adam", "adamw", "adamax", "sgd"]
Decay = Literal["constant", "cosine", "linear"]
LOG: dict[str, JsonValue] = {"log": True}
"""Marks a setting of which a range is searched in the logarithm."""


def _none_for_zero(half_life: float | None) -> float | None:
    return half_life or None


# 0 says none, too: an alternative of a searched setting cannot be null
HalfLife = Annotated[float | None, Field(ge=0, lt=1), AfterValidator(_none_for_zero)]


RECIPES: dict[str, dict[str, JsonValue]] = {
    "paper": {
        "optimiser": "adamax",
        "lr": 1e-3,
        "weight_decay": 1e-5,
        "batch_size": 64,
        "warmup": 0.0,
        "clip_norm": None,
    }
}
"""What a preset says of the training besides the model, where a config says nothing itself.

Of ``paper``: the set-up of Tran et al. (2023), https://arxiv.org/abs/2306.00939.
"""
PAPER_IMAGES = 3_200_000
"""Training images of the full budget there: 64 epochs of 50,000."""


class ModelTraining(BaseModel):
    """What the config of a search says for each model by itself."""

    # strict, because YAML has types: `lr: "1"` or `batch_size: true` is a slip, not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    preset: str = Field(
        "quick",
        description="the model's named defaults: quick, or paper, which also is the published "
        "recipe of the training (adamax, weight decay, batch 64, 3.2 million images)",
    )
    hparams: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="arguments of the model, over the preset's"
    )
    batch_size: int = Field(
        128, ge=1, le=2**20, description="images per training step", json_schema_extra=LOG
    )
    optimiser: Optimiser = Field(
        "adam",
        description="adam, adamw (with decoupled weight decay), adamax, or sgd with momentum",
    )
    lr: float = Field(1e-3, gt=0, description="peak learning rate", json_schema_extra=LOG)
    beta1: float = Field(
        0.9, ge=0, lt=1, description="how slowly the mean gradient changes; sgd: momentum"
    )
    beta2: float = Field(
        0.999, ge=0, lt=1, description="how slowly the mean squared gradient changes; not of sgd"
    )
    weight_decay: float = Field(
        0.0, ge=0, description="weight decay of the optimiser", json_schema_extra=LOG
    )
    warmup: float = Field(
        0.05, ge=0, le=1, description="share of the training in which the learning rate rises"
    )
    lr_decay: Decay = Field(
        "constant",
        description="the learning rate after that: constant, or cosine or linear down to lr_floor",
    )
    lr_floor: float = Field(
        0.0, ge=0, le=1, description="learning rate at the end, as a share of the peak"
    )
    clip_norm: float | None = Field(
        10.0, gt=0, description="longest gradient of the loss in nats per dim; null: any"
    )
    precision: Precision = Field(
        "fp32",
        description="of the networks in training: fp32, tf32 (products and convolutions on GPUs), "
        "or bf16 (autocast; densities stay in fp32); evaluations are in fp32",
    )
    ema: HalfLife = Field(
        None,
        description="half-life of the averaged weights that are evaluated, as a share of the "
        "training; null or 0: the last weights",
        json_schema_extra=LOG,
    )

    @model_validator(mode="before")
    @classmethod
    def _recipe(cls, raw: object) -> object:
        if not isinstance(raw, dict) or not isinstance(raw.get("preset"), str):
            return raw
        return {**RECIPES.get(raw["preset"], {}), **raw}


class Training(ModelTraining):
    """What a training is besides model, schedule, seed and steps."""

    @classmethod
    def of(cls, model: ModelTraining, settings: Mapping[str, Option] | None = None) -> Training:
        """Return a training of a model.

        Args:
            model: What holds for all trainings of the model.
            settings: What holds for this one: fields, and ``hparams.NAME`` for the model's own.
        """
        own = {name: getattr(model, name) for name in ModelTraining.model_fields}
        return cls(**with_settings(own, settings or {}))


def may_be_null(setting: FieldInfo) -> bool:
    """Return whether None is legal for a setting; 0 says so on the command line."""
    return NoneType in get_args(setting.annotation)
