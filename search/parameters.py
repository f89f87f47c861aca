"""Which schedule parameters have a column in the tables of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from .config import SearchConfig
from .metadata import config_of
from .space import parameter_types

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
