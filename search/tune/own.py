"""A user's own models and metrics on their way to the nodes, which may not have their modules."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ray import cloudpickle

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune._own import given, imported
from mollitune.search.config import SearchConfig

from .device import is_joined

_INSTALLED = {"site-packages", "dist-packages"}


def objects_of(config: SearchConfig) -> dict[str, Any]:
    """Return what goes to the workers: objects that they could not import by their names.

    On this machine that is what was given in Python; elsewhere also what lies in modules that are
    not installed. What is installed is imported there, or found missing before the first trial.

    Raises:
        MollituneError: If it cannot be imported here.
    """
    names = [entry.name for entry in config.model] + list(config.fid.extra)
    extractors = (config.fid.extractor, *config.fid.beside)
    names += [name for name in extractors if ":" in name and not name.startswith("file:")]
    own = [name for name in names if ":" in name]
    try:
        found = {name: imported(name) for name in own if name in given or is_joined(config)}
    except ValueError as error:
        raise MollituneError(str(error)) from None
    return {
        name: value
        for name, value in found.items()
        if name in given or _home(name.partition(":")[0]) is not None
    }


@contextlib.contextmanager
def sent_whole(objects: Mapping[str, Any]) -> Iterator[None]:
    """Pickle objects with their code, and that of the modules beside them, within the block.

    What is installed is not sent: the nodes have it.

    Raises:
        MollituneError: If something cannot be pickled.
    """
    modules = _beside([name.partition(":")[0] for name in objects])
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    except Exception as error:
        if not objects or isinstance(error, MollituneError):
            raise
        raise MollituneError(
            f"{', '.join(objects)} cannot be sent to the nodes ({first_line(error)}); put the "
            "module on PYTHONPATH there and here, or submit with ray job submit --working-dir"
        ) from error
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _beside(names: list[str]) -> list[ModuleType]:
    """Return the loaded modules that lie where those of these names do, unless installed."""
    homes = [home for name in names if (home := _home(name)) is not None]
    files = {name: _file(module) for name, module in list(sys.modules.items())}
    return [
        sys.modules[name]
        for name, file in files.items()
        if file is not None and any(file.is_relative_to(home) for home in homes)
    ]


def _home(name: str) -> Path | None:
    """Return the folder in which a module is looked for; None if it is installed, or no file."""
    file = _file(sys.modules.get(name.partition(".")[0]))
    if file is None:
        return None
    return file.parents[1] if file.stem == "__init__" else file.parent


def _file(module: ModuleType | None) -> Path | None:
    """Return the file of a module of the user's own."""
    file = getattr(module, "__file__", None)
    if module is None or file is None or module.__name__ == "__main__":
        return None  # what is in __main__ is sent whole anyway
    path = Path(file).resolve()
    ours = module.__name__.partition(".")[0] == "mollitune"
    return None if ours or _INSTALLED & {*path.parts} else path
