"""The table of stopping rules: who is in it, and how a rule gets in."""

from __future__ import annotations

import inspect
import re
from typing import TypeVar

from mollitune._own import imported

from .base import Rule

AnyRule = TypeVar("AnyRule", bound=type[Rule])

_RULES: dict[str, type[Rule]] = {}
_TAKEN = ("race", "confirm")  # they decide on seeds, and are in the same column
_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def register(cls: AnyRule) -> AnyRule:
    """Class decorator that makes a stopping rule known to configs, plans and replays.

    A class that is defined anew under the same module and name replaces the old one.

    Args:
        cls: A class derived from `Rule` that is built without arguments.

    Raises:
        ValueError: If it is no such class, or its name is malformed or taken.
    """
    if not (inspect.isclass(cls) and issubclass(cls, Rule)):
        raise ValueError(f"{cls!r} is no stopping rule; derive a class from Rule")
    if inspect.isabstract(cls):
        raise ValueError(f"{cls.__name__} must define marks")
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"{cls.__name__}.name must be an identifier, got {name!r}")
    if not isinstance(getattr(cls, "description", None), str):
        raise ValueError(f"{cls.__name__}.description must say in a few words what it does")
    known = _RULES.get(name)
    if name in _TAKEN or (known is not None and _place(known) != _place(cls)):
        by = "" if known is None else f" by {_place(known)}"
        raise ValueError(f"{cls.__name__}.name must be a new one, but {name!r} is taken{by}")
    _RULES[name] = cls
    return cls


def rules() -> tuple[str, ...]:
    """Names of all registered rules, sorted; ``none``, which stops nobody, last."""
    return tuple(sorted(_RULES, key=lambda name: (name == "none", name)))


def rule(name: object, others: tuple[str, ...] = ()) -> Rule:
    """Return a rule.

    Args:
        name: One of `rules`, or ``module:Class`` for a class of your own.
        others: What else may stand in its place, for the message.

    Raises:
        ValueError: If there is none of this name, or the class cannot be imported or is no rule.
    """
    if isinstance(name, str) and name in _RULES:
        return _RULES[name]()
    if isinstance(name, str) and _REFERENCE.fullmatch(name):
        cls: type[Rule] = imported(name, "class")
        return register(cls)()
    known = ", ".join(map(repr, (*others, *rules())))
    raise ValueError(f"Input should be {known} or module:Class")


def spelled(name: object, *, others: tuple[str, ...] = ()) -> str:
    """Return how any process finds a rule: our own by name, others as ``module:Class``.

    Args:
        name: As for `rule`.
        others: What may stand in the place of a rule, and is returned as it is.

    Raises:
        ValueError: If there is no such rule, as for `rule`.
    """
    if isinstance(name, str) and name in others:
        return name
    cls = type(rule(name, others))
    own = cls.__module__.startswith(f"{__package__}.")
    return cls.name if own else _place(cls)


def _place(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"
