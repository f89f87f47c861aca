"""A configuration: a schedule with the hyperparameters that are searched beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from mollitune.schedules import Option, Schedule

HPARAMS = "hparams"
Settings = tuple[tuple[str, Option], ...]
"""Searched hyperparameters with their values, sorted by name; ``hparams.NAME`` is a model's."""


@dataclass(frozen=True)
class Configuration:
    """What is tried of one model.

    Arguments:
        schedule: How the training data are mollified.
        settings: The searched hyperparameters; all others are as the config says.
        scale: How long it is trained, as a multiple of the length that the config gives; other
            than 1 in searches and confirmations over several budgets.
    """

    schedule: Schedule
    settings: Settings = ()
    scale: float = 1.0

    @property
    def is_vanilla(self) -> bool:
        """Whether the data are never mollified."""
        return self.schedule.family == "vanilla"

    def at(self, scale: float) -> Self:
        """Return the same at another budget."""
        return self if scale == self.scale else replace(self, scale=scale)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values; what is as usual is left out."""
        return {
            "schedule": self.schedule.to_dict(),
            **({"settings": dict(self.settings)} if self.settings else {}),
            **({"scale": self.scale} if self.scale != 1 else {}),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Return the configuration of a trial, or what else holds the keys of `to_dict`.

        Raises:
            ValueError: If the schedule cannot be built.
        """
        schedule = Schedule.from_dict(plain["schedule"])
        return cls(schedule, settings_of(plain.get("settings", {})), plain.get("scale", 1.0))

    def __str__(self) -> str:
        length = f" for {self.scale:g} times the steps" if self.scale != 1 else ""
        return f"{self.schedule}{settings_text(self.settings)}{length}"


def settings_of(values: Mapping[str, Option]) -> Settings:
    """Return hyperparameters in their one order."""
    return tuple(sorted(values.items()))


def with_settings(entry: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's entry of a config with other settings.

    Example:
        >>> with_settings({"lr": 1.0, "hparams": {"a": 1}}, {"lr": 0.5, "hparams.b": 2})
        {'lr': 0.5, 'hparams': {'a': 1, 'b': 2}}
    """
    found = dict(entry)
    for name, value in settings.items():
        start, _, key = name.partition(".")
        if start == HPARAMS and key:
            found[HPARAMS] = {**found.get(HPARAMS, {}), key: value}
        else:
            found[name] = value
    return found


def settings_text(settings: Settings) -> str:
    """Return hyperparameters as short text behind a schedule; empty without any.

    Example:
        >>> settings_text((("batch_size", 64), ("hparams.latent", 8), ("lr", 0.00123456)))
        ' with batch_size=64 latent=8 lr=0.00123'
    """
    if not settings:
        return ""
    shown = [f"{name.removeprefix('hparams.')}={_short(value)}" for name, value in settings]
    return f" with {' '.join(shown)}"  # no commas: it stands in lists


def _short(value: Option) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
