"""Which parameters have a column in the tables of a search, and its config once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import SearchConfig
from mollitune.search.policy.dimensions import arrow_type
from mollitune.search.policy.earlier import Earlier, earlier_of
from mollitune.search.policy.space import parameter_types
from mollitune.search.store.schema import METADATA_FILE
from mollitune.search.training.settings import ModelTraining
from mollitune.search.training.spec import LAST, Final
from mollitune.search.tune.budget import Plan

PAPER = "sigmoid"
"""Family of the mollification paper's schedule, which every confirmation trains beside others."""


def table_parameters(config: SearchConfig) -> dict[str, pa.DataType]:
    """Return the Arrow type of each parameter that may be tried, by name."""
    return {
        **parameter_types([*(space.family for space in config.families), PAPER]),
        **{
            name: arrow_type(found)
            for entry in config.model
            for name, found in entry.hyperspace.dimensions.items()
        },
    }


def known_parameters(metadata: Mapping[str, Any]) -> dict[str, pa.DataType]:
    """Return the types of the parameters that the tables of an existing search have.

    Args:
        metadata: Its ``search.json``.
    """
    types = table_parameters(config_of(dict(metadata)))
    return {name: types[name] for name in metadata["params"] if name in types}


def plans_of(metadata: Mapping[str, Any]) -> dict[str, Plan]:
    """Return for each model of a search how its trials are evaluated."""
    return {name: _plan(**plan) for name, plan in metadata["evaluation"].items()}


def _plan(*, final: Mapping[str, Any] | None = None, **plan: Any) -> Plan:
    # where none is told, the last evaluation alone counted
    return Plan(**plan, final=Final(**final or {}))


def known_prior(metadata: Mapping[str, Any]) -> dict[str, tuple[Earlier, ...]]:
    """Return what a search knew from earlier ones, by model.

    Raises:
        MollituneError: If its description is damaged there.
    """
    try:
        return earlier_of(metadata.get("prior") or {})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise MollituneError(
            f"{METADATA_FILE} is damaged at prior: restore it from a copy"
        ) from None


def config_of(metadata: dict[str, Any], more: int = 0, address: str | None = None) -> SearchConfig:
    """Return the config of a search that goes on.

    Args:
        metadata: Its ``search.json``.
        more: Trials beyond those of the config.
        address: Ray cluster to join instead of the config's.

    Raises:
        MollituneError: If the config is not one of this version.
    """
    stored = dict(metadata["config"])
    stored["trials"] += more
    stored["families"] = [_linear(family) for family in stored.get("families", [])]
    # once a share of the time; what came of it stands in the description, see `plans_of`
    stored["fid"] = {key: value for key, value in stored["fid"].items() if key != "budget"}
    stored["fid"].setdefault("final", LAST)
    stored["fid"].setdefault("extra", [])
    stored["model"] = [_plain_besides(entry) for entry in stored.get("model", [])]
    if address is not None:
        stored["address"] = address
    try:
        return SearchConfig.model_validate(stored)
    except ValueError as error:
        raise MollituneError(
            f"the config in {METADATA_FILE} is not one of this version: {first_line(error)}; "
            "resume with the version that it names"
        ) from None


def _plain_besides(entry: Any) -> Any:
    """Return an entry of ``model`` with the settings that it does not name spelled out.

    A description of a version that had fewer settings means their defaults, not the recipe that
    its preset may have become since.
    """
    return {**ModelTraining().model_dump(), **entry} if isinstance(entry, dict) else entry


def _linear(family: Any) -> Any:
    """Return an entry of ``families`` with its ranges spelled out.

    Descriptions hold them spelled out; one that holds a list is of a version that knew no
    logarithmic range of a config.
    """
    if not isinstance(family, dict):
        return family
    return {
        name: {
            key: {"low": value[0], "high": value[1], "log": False}
            if isinstance(value, list) and not isinstance(value[0], str)
            else value
            for key, value in params.items()
        }
        for name, params in family.items()
    }
