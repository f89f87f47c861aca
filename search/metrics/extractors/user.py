"""Feature extractors that the user brings: a file of a compiled network, or a class.

Either takes bytes (N, C, H, W) and returns floating-point features (N, F); how it resizes and
scales the images is its own affair. Both kinds hold code that is run: use only your own.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune._own import imported

from .base import OneLayerExtractor
from .network_file import open_network

LAYER = "features"


class _UserExtractor(OneLayerExtractor):
    """A network with one unnamed output behind torch-fidelity's interface."""

    layer = LAYER

    network: nn.Module

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        """Return features with shape (N, F) for bytes with shape (N, C, H, W)."""
        return (self.network(pixels),)


class FileExtractor(_UserExtractor):
    """A network from a file of `torch.export.save` or `torch.jit.save`.

    Arguments:
        name: Name in torch-fidelity's registry.
        features_list: The layers asked for, ``["features"]``.
        feature_extractor_weights_path: The file, or a stream of its bytes.
        kwargs: Further options of torch-fidelity, none of which applies here.

    Raises:
        MollituneError: If the bytes are no such file, or one that this torch cannot load.
    """

    def __init__(
        self,
        name: str,
        features_list: list[str],
        feature_extractor_weights_path: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, features_list)
        self.network = open_network(name, _bytes_of(feature_extractor_weights_path))


class ClassExtractor(_UserExtractor):
    """A network of the user's class, built without arguments.

    Arguments:
        name: ``module:Class``, also the name in torch-fidelity's registry.
        features_list: The layers asked for, ``["features"]``.
        feature_extractor_weights_path: File or stream of a state dict; None: as built.
        kwargs: Further options of torch-fidelity, none of which applies here.
    """

    def __init__(
        self,
        name: str,
        features_list: list[str],
        feature_extractor_weights_path: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, features_list)
        self.network = build_class(name)
        if feature_extractor_weights_path is not None:
            state = torch.load(
                feature_extractor_weights_path, map_location="cpu", weights_only=True
            )
            self.network.load_state_dict(state)


def check_features(name: str, extract: Callable[[Tensor], Tensor], pixels: Tensor) -> int:
    """Try an extractor on images, alone and together, before a search relies on it.

    Args:
        name: Name for errors.
        extract: Maps bytes (N, C, H, W) to features (N, F).
        pixels: Three images of the search, bytes with shape (3, C, H, W).

    Returns:
        The number of features F.

    Raises:
        MollituneError: If it fails, returns something else, or if an image's features depend on
            the other images of the batch.
    """
    three = _features_of(name, extract, pixels)
    two = _features_of(name, extract, pixels[:2])
    if not torch.allclose(three[:2], two, rtol=1e-2, atol=1e-2 * float(three.abs().max())):
        raise MollituneError(
            f"fid.extractor: {name} gives an image other features in another batch; "
            "call eval() before the export"
        )
    return two.shape[1]


def _features_of(name: str, extract: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    given = f"{len(pixels)} images {tuple(pixels.shape)} uint8"
    try:
        out = extract(pixels)
    except Exception as error:  # the user's code may raise anything
        raise MollituneError(
            f"fid.extractor: {name} fails on {given}: {type(error).__name__}: {first_line(error)};"
            " it must take bytes (N, C, H, W) of this size for any N (torch.export: give the "
            "batch a dynamic dimension)"
        ) from error
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != len(pixels):
        got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise MollituneError(
            f"fid.extractor: {name} returns {got} for {given}; it must return a tensor of "
            f"features ({len(pixels)}, F)"
        )
    if not out.is_floating_point() or not out.isfinite().all():
        raise MollituneError(
            f"fid.extractor: {name} returns {out.dtype} features that are not all finite floats "
            f"for {given}; it must return finite floating-point features"
        )
    return out


def _bytes_of(file: Any) -> bytes:
    data: bytes = file.read() if hasattr(file, "read") else Path(file).read_bytes()
    return data


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
    try:
        cls = imported(name, "class")
        if not inspect.isclass(cls):
            module_name, _, class_name = name.partition(":")
            raise ValueError(f"{module_name} has no class {class_name}")
    except ValueError as error:
        raise MollituneError(f"fid.extractor: {error}") from None
    return cls
