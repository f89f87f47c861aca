"""What a user brings: a model, a metric, an extractor, a stopping rule, by name or as an object.

A name is ``module:Class``. An object that no other process could import by its name, such as a
class of a notebook, is kept here under that name, and goes with what a search sends to its nodes.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from mollitune._files import first_line

GIVEN = "given"
"""Stands for the module of an object that has no name of its own."""
given: dict[str, Any] = {}
"""Objects that were given to this process, by name; they come before what could be imported."""


def imported(reference: str, kind: str = "") -> Any:
    """Return what a name says.

    Args:
        reference: ``module:name``.
        kind: What it should be, for the message.

    Raises:
        ValueError: If the module cannot be imported or has no such name.
    """
    if reference in given:
        return given[reference]
    module_name, _, name = reference.partition(":")
    if module_name == GIVEN:
        raise ValueError(f"{name} was given in Python as an object; go on there")
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


def name_of(found: Any) -> str:
    """Return ``module:name`` for a class or a function, which is known by it from now on.

    Raises:
        ValueError: If it has no name of its own, as a lambda or an instance.
    """
    name = str(getattr(found, "__qualname__", "")).rpartition(".")[2]
    module = getattr(found, "__module__", None)
    if not callable(found) or not isinstance(module, str) or not name.isidentifier():
        told = name or type(found).__name__
        raise ValueError(f"{told} has no name to go by; give a class or a function that has one")
    known = getattr(sys.modules.get(module), name, None)
    if known is not found or module == "__main__":
        given[f"{module}:{name}"] = found
    return f"{module}:{name}"
