"""Compiled networks in files: what `torch.export.save` and `torch.jit.save` write."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from mollitune._errors import MollituneError
from mollitune._files import first_line

_SAFE_SETTING = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_RUNS_CODE = ("data/constants/opaque_obj", "data/constants/custom_obj", "data/aotinductor/")
_KINDS = "expected a file of torch.export.save or torch.jit.save"


def read_network_file(path: Path) -> bytes:
    """Return the bytes of a file that holds a compiled network.

    Raises:
        MollituneError: If it cannot be read or loaded.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MollituneError(
            f"fid.extractor: cannot read {path} ({error.strerror}); check the path"
        ) from None
    open_network(str(path), data)
    return data


def open_network(name: str, data: bytes) -> nn.Module:
    """Return the network that a file of `torch.export.save` or `torch.jit.save` holds, on the CPU.

    Args:
        name: Name for errors.
        data: The file's bytes.

    Raises:
        MollituneError: If the bytes are no such file, one that this torch cannot load, or one
            with Python objects or machine code inside, which loading would run.
    """
    scripted = _is_torchscript(name, data)
    try:
        with _no_deprecation(), _no_pickle():
            if scripted:
                network: nn.Module = torch.jit.load(io.BytesIO(data), map_location="cpu")
                return network
            return _ExportedNetwork(torch.export.load(io.BytesIO(data)))
    except Exception as error:  # both loaders raise whatever the bytes lead them to
        raise MollituneError(
            f"fid.extractor: torch {torch.__version__} cannot load {name} "
            f"({type(error).__name__}: {first_line(error)}); {_KINDS}"
        ) from None


class _ExportedNetwork(nn.Module):
    """An exported program that follows its owner to another device.

    Its graph module is no child: that would refuse `eval`, and would move the weights but leave
    the devices that are written into the graph.
    """

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self._device = torch.device("cpu")
        self._move(program, self._device)

    def forward(self, pixels: Tensor) -> Any:
        return self._run(pixels)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _ExportedNetwork:
        device = fn(torch.empty(0)).device
        if device != self._device:
            self._move(self._program, device)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _move(self, program: ExportedProgram, device: torch.device) -> None:
        self._device = device
        self._program = move_to_device_pass(program, device)
        self._run = self._program.module().__call__


def _is_torchscript(name: str, data: bytes) -> bool:
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile:
        entries = []
    if any(entry.endswith("/constants.pkl") for entry in entries):
        return True
    if any(entry.endswith("/archive_format") for entry in entries):
        _check_exported(name, data)
        return False
    raise MollituneError(f"fid.extractor: {name} holds no compiled network; {_KINDS}")


def _check_exported(name: str, data: bytes) -> None:
    """Refuse what `torch.export.load` would unpickle or link without a check of its own."""
    try:
        # the loader's own list: another reader of the same bytes may find other entries
        entries = torch._C.PyTorchFileReader(io.BytesIO(data)).get_all_records()
    except RuntimeError as error:
        raise MollituneError(
            f"fid.extractor: {name} is damaged ({first_line(error)}); {_KINDS}"
        ) from None
    for entry in entries:
        if entry.lower().startswith(_RUNS_CODE):
            raise MollituneError(
                f"fid.extractor: {name} holds {entry}, which may run code when it is loaded; "
                "export a network of tensors alone"
            )


@contextlib.contextmanager
def _no_pickle() -> Iterator[None]:
    # torch.export.load asks torch.load for any object; only this setting is stronger
    before = os.environ.get(_SAFE_SETTING)
    os.environ[_SAFE_SETTING] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_SETTING]
        else:
            os.environ[_SAFE_SETTING] = before


@contextlib.contextmanager
def _no_deprecation() -> Iterator[None]:
    with warnings.catch_warnings():
        # TorchScript is on its way out, but the user's files are there
        warnings.filterwarnings("ignore", message=".*torch.jit", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        yield
