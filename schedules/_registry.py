"""The table of schedule families: who is in it, and how a family gets in."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Iterable
from typing import Any, TypeVar

Family = TypeVar("Family", bound=type[Any])
"""A class derived from `Schedule`, which is not imported here: it asks this table itself."""

_FAMILIES: dict[str, type[Any]] = {}


def register(cls: Family) -> Family:
    """Class decorator that makes a schedule family known to `build`, `load` and the search.

    A class that is defined anew under the same module and name replaces the old one, so that a
    notebook cell can be run twice.

    Args:
        cls: A frozen dataclass derived from `Schedule` with its own ``family`` name.

    Returns:
        The class itself.

    Raises:
        ValueError: If the class is no dataclass, is abstract, names no family, or its name is
            taken by another class.
    """
    family = cls.__dict__.get("family")
    if not isinstance(family, str) or not family.isidentifier():
        raise ValueError(f"{cls.__name__}.family must be an identifier, got {family!r}")
    if "__dataclass_fields__" not in cls.__dict__:
        raise ValueError(f"{cls.__name__} must be decorated with @dataclass(frozen=True)")
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise ValueError(f"{cls.__name__} must define all abstract methods, missing: {missing}")
    known = _FAMILIES.get(family)
    same_place = known is not None and _place(known) == _place(cls)
    if known is not None and not same_place:
        raise ValueError(
            f"{cls.__name__}.family must be a new name, but {family!r} is taken by {_place(known)}"
        )
    _FAMILIES[family] = cls
    return cls


def families() -> tuple[str, ...]:
    """Names of all registered families: ``"vanilla"``, the baseline, first, the rest sorted."""
    return tuple(sorted(_FAMILIES, key=lambda name: (name != "vanilla", name)))


def lookup(family: object) -> type[Any]:
    """Return the class of a family, e.g. for its search space.

    Args:
        family: One of `families`.

    Raises:
        ValueError: If there is no such family; the message lists the known ones and, for a
            probable typing error, the nearest.
    """
    if isinstance(family, str) and family in _FAMILIES:
        return _FAMILIES[family]
    near = difflib.get_close_matches(family, families(), n=1) if isinstance(family, str) else []
    hint = f"did you mean {near[0]!r}?" if near else "import the module that registers it first"
    raise ValueError(f"family must be one of {', '.join(families())}, got {family!r}; {hint}")


def discover(package: str, path: Iterable[str]) -> None:
    """Import every public module of a package, so that the families in them register."""
    for module in pkgutil.iter_modules(path):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package}.{module.name}")


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
