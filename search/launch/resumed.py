"""Which schedule parameters have a column in the tables of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import SearchConfig
from mollitune.search.policy.space import parameter_types
from mollitune.search.store.schema import METADATA_FILE
from mollitune.search.tune.budget import Plan

PAPER = "sigmoid"
"""Family of the mollification paper's schedule, which every confirmation trains beside others."""


def table_parameters(config: SearchConfig) -> dict[str, pa.DataType]:
    """Return the Arrow type of each parameter of the families that may be trained, by name."""
    return parameter_types([*(space.family for space in config.families), PAPER])


def known_parameters(metadata: Mapping[str, Any]) -> dict[str, pa.DataType]:
    """Return the types of the parameters that the tables of an existing search have.

    Args:
        metadata: Its ``search.json``.
    """
    types = table_parameters(config_of(dict(metadata)))
    return {name: types[name] for name in metadata["params"] if name in types}


def plans_of(metadata: Mapping[str, Any]) -> dict[str, Plan]:
    """Return for each model of a search how its trials are evaluated."""
    return {name: Plan(**plan) for name, plan in metadata["evaluation"].items()}


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
    # once a share of the time; what came of it stands in the description, see `plans_of`
    stored["fid"] = {key: value for key, value in stored["fid"].items() if key != "budget"}
    if address is not None:
        stored["address"] = address
    try:
        return SearchConfig.model_validate(stored)
    except ValueError as error:
        raise MollituneError(
            f"the config in {METADATA_FILE} is not one of this version: {first_line(error)}; "
            "resume with the version that it names"
        ) from None
