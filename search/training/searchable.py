"""Which settings of a training may be searched, and how they stand in a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from mollitune.schedules import Dimension
from mollitune.search.policy.configuration import HPARAMS, settings_of
from mollitune.search.policy.dimensions import dimension, nearest
from mollitune.search.policy.hyperspace import Hyperspace

from .settings import ModelTraining

_FIXED = (HPARAMS, "preset")
SEARCHABLE = tuple(name for name in ModelTraining.model_fields if name not in _FIXED)
"""Settings that may be searched, besides the model's own ``hparams.NAME``."""


def split(entry: Mapping[str, Any]) -> tuple[dict[str, Any], Hyperspace]:
    """Split a model's entry of a config into what is fixed and what is searched.

    The first runs have the default of each setting, or what of its dimension is next to it.

    Args:
        entry: Settings of `ModelTraining`, and whatever else.

    Raises:
        ValueError: If a range or a list of alternatives is not legal; it names the setting.
    """
    fixed, searched = _split(entry)
    first = {name: nearest(found, _default_of(name)) for name, found in searched.items()}
    return fixed, Hyperspace(searched, settings_of(first))


def _split(entry: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Dimension]]:
    fixed, searched = dict(entry), {}
    for name in SEARCHABLE:
        if name in entry and (found := _dimension(name, entry[name])) is not None:
            searched[name] = found
            del fixed[name]
    own = entry.get(HPARAMS)
    if isinstance(own, Mapping):
        fixed[HPARAMS] = dict(own)
        for key, value in own.items():
            if (found := _dimension(f"{HPARAMS}.{key}", value)) is not None:
                searched[f"{HPARAMS}.{key}"] = found
                del fixed[HPARAMS][key]
    return fixed, dict(sorted(searched.items()))


def _default_of(name: str) -> object:
    field = ModelTraining.model_fields.get(name)
    if field is None:
        return None
    return 0 if field.default is None else field.default  # as an alternative says it


def _dimension(name: str, value: object) -> Dimension | None:
    field = ModelTraining.model_fields.get(name)
    kinds = set() if field is None else {field.annotation, *get_args(field.annotation)}
    extra = field.json_schema_extra if field is not None else None
    log = isinstance(extra, dict) and bool(extra.get("log"))
    ints = isinstance(value, list) and all(type(item) is int for item in value)
    whole = int in kinds if field is not None else ints
    try:
        # a model's own whole numbers are widths and depths: twice as much is as far everywhere
        return dimension(value, log=log or (field is None and ints), whole=whole)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
