"""A user's network given as ``module:Class``: built here and again in every worker."""

from __future__ import annotations

import importlib
import inspect
import io
from collections.abc import Callable

import torch
from torch import nn

from mollitune._errors import MollituneError
from mollitune._files import first_line


def build_class(name: str) -> nn.Module:
    """Return a new network of ``module:Class`` in evaluation mode.

    Raises:
        MollituneError: If the class cannot be imported or built.
    """
    cls = _import_class(name)
    try:
        # a fixed seed: initial weights that are drawn are the same in every process
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = cls()
    except Exception as error:  # the user's code may raise anything
        raise MollituneError(
            f"fid.extractor: {name}() fails: {type(error).__name__}: {first_line(error)}; the "
            "class must be built without arguments"
        ) from error
    if not isinstance(network, nn.Module):
        raise MollituneError(f"fid.extractor: {name} is no torch.nn.Module; derive it from that")
    return network.eval()


def class_state(name: str) -> bytes:
    """Return the state dict of a newly built ``module:Class`` as bytes, equal for equal states.

    Raises:
        MollituneError: If the class cannot be imported or built.
    """
    # copies, so that neither shared memory nor gradients nor the device shape the bytes
    state = {key: value.cpu().clone() for key, value in build_class(name).state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def class_source(name: str) -> str:
    """Return the source text of ``module:Class``.

    Raises:
        MollituneError: If the class cannot be imported or its source is not in a file.
    """
    try:
        return inspect.getsource(_import_class(name))
    except (OSError, TypeError):
        raise MollituneError(
            f"fid.extractor: the source of {name} cannot be read; put the class into a .py file"
        ) from None


def _import_class(name: str) -> Callable[[], object]:
    module_name, _, class_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing runs the user's code
        raise MollituneError(
            f"fid.extractor: cannot import {module_name} ({type(error).__name__}: "
            f"{first_line(error)}); check the name, or put its folder on PYTHONPATH"
        ) from None
    cls = getattr(module, class_name, None)
    if not inspect.isclass(cls):
        raise MollituneError(f"fid.extractor: {module_name} has no class {class_name}")
    return cls
