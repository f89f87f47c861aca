"""What a user names as ``module:Class``: a stopping rule, a metric, an extractor of their own."""

from __future__ import annotations

import importlib
from typing import Any

from mollitune._files import first_line


def imported(reference: str, kind: str = "") -> Any:
    """Return what a name says.

    Args:
        reference: ``module:name``.
        kind: What it should be, for the message.

    Raises:
        ValueError: If the module cannot be imported or has no such name.
    """
    module_name, _, name = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing runs the user's code
        raise ValueError(
            f"cannot import {module_name} ({type(error).__name__}: {first_line(error)}); check "
            "the name, or put its folder on PYTHONPATH"
        ) from None
    if not hasattr(module, name):
        raise ValueError(f"{module_name} has no {kind} {name}".replace("  ", " "))
    return getattr(module, name)
