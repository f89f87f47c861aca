"""A configuration: a schedule with the hyperparameters that are searched beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    """

    schedule: Schedule
    settings: Settings = ()

    @property
    def is_vanilla(self) -> bool:
        """Whether the data are never mollified."""
        return self.schedule.family == "vanilla"

    def __str__(self) -> str:
        return f"{self.schedule}{settings_text(self.settings)}"


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
