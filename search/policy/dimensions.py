"""The one notation for everything that is searched, schedule parameter or hyperparameter.

A value fixes; ``[low, high]`` is a range, logarithmic where the parameter is declared so;
``{low: , high: , log: , int: }`` spells it out; ``{choices: [...]}`` lists alternatives.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mollitune.schedules import Choice, Dimension, Float, Int, Option

if TYPE_CHECKING:
    import optuna

_RANGE = {"low", "high", "log", "int"}


def dimension(value: object, *, log: bool = False, whole: bool = False) -> Dimension | None:
    """Return what a value of a config searches; None if it fixes the parameter.

    Args:
        value: The value, or a `Float`, `Int` or `Choice` itself.
        log: Whether a range of the parameter is searched in the logarithm.
        whole: Whether the parameter takes whole numbers only.

    Raises:
        ValueError: If it is meant as a range or as alternatives, but is not a legal one.
    """
    if isinstance(value, Float | Int | Choice):
        return value
    if isinstance(value, dict):
        if set(value) == {"choices"} and isinstance(value["choices"], list):
            return Choice(tuple(value["choices"]))
        if {"low", "high"} <= set(value) <= _RANGE:
            return _range(value["low"], value["high"], value.get("log", log), value.get("int"))
        raise ValueError(f"{value!r} is neither {{low: , high: , log: , int: }} nor {{choices: }}")
    if not isinstance(value, list):
        return None
    if value and all(isinstance(item, str) for item in value):
        return Choice(tuple(value))
    if len(value) == 2 and all(map(is_number, value)):
        return _range(value[0], value[1], log, whole)
    raise ValueError(
        f"{value!r} is no range [low, high] and no list of names; alternatives are written "
        "{choices: [...]}"
    )


def spelled_out(found: Dimension) -> dict[str, Any]:
    """Return a dimension as it may stand in a config, whatever the parameter is declared as."""
    if isinstance(found, Choice):
        return {"choices": list(found.options)}
    whole = isinstance(found, Int)
    return {"low": found.low, "high": found.high, "log": found.log, "int": whole}


def in_words(found: Dimension) -> str:
    """Return a dimension for a person.

    Examples:
        >>> in_words(Float(1e-4, 1e-2, log=True)), in_words(Int(8, 64)), in_words(Choice((1, 2)))
        ('0.0001 to 0.01, log', '8 to 64, whole', '1 | 2')
    """
    if isinstance(found, Choice):
        return " | ".join(map(str, found.options))
    how = [f"{found.low:g} to {found.high:g}", *["whole"] * isinstance(found, Int)]
    return ", ".join([*how, *["log"] * found.log])


def contains(found: Dimension, value: Option) -> bool:
    """Tell whether a value lies in a dimension."""
    if isinstance(found, Choice):
        return value in found.options
    return is_number(value) and found.low <= float(value) <= found.high


def ends(found: Dimension) -> tuple[Option, ...]:
    """Return the extreme values of a dimension: both ends, or all alternatives."""
    return found.options if isinstance(found, Choice) else (found.low, found.high)


def nearest(found: Dimension, preferred: object) -> Option:
    """Return the value of a dimension next to ``preferred``, or its middle if there is none."""
    if isinstance(found, Choice):
        return next((option for option in found.options if option == preferred), found.options[0])
    low, high = found.low, found.high
    if isinstance(preferred, int | float) and not isinstance(preferred, bool):
        value = min(max(preferred, low), high)
    else:
        value = math.sqrt(low * high) if found.log else (low + high) / 2
    return round(value) if isinstance(found, Int) else value


def coordinates(found: Dimension, value: Option) -> tuple[float, ...]:
    """Return where a value lies: in [0, 1] on the scale that is searched; names all apart."""
    if isinstance(found, Choice):
        if len(found.options) == 2:
            return (float(found.options.index(value)),)
        if isinstance(found.options[0], str | bool):
            return tuple(float(value == option) for option in found.options)
        ranked = sorted(found.options)
        return (ranked.index(value) / max(1, len(ranked) - 1),)
    place = _on_scale(found, float(value))
    low, high = _on_scale(found, found.low), _on_scale(found, found.high)
    return ((place - low) / (high - low),)


def at(found: Float | Int, place: float) -> float | int:
    """Return the value at a place of `coordinates`; outside [0, 1] that at the nearest end."""
    low, high = _on_scale(found, found.low), _on_scale(found, found.high)
    value = low + min(max(place, 0.0), 1.0) * (high - low)
    value = min(max(math.exp(value) if found.log else value, found.low), found.high)
    return round(value) if isinstance(found, Int) else value


def arrow_type(found: Dimension) -> pa.DataType:
    """Return the type of a dimension's column in the result tables."""
    kinds = {type(value) for value in ends(found)}
    for kind, arrow in ((str, pa.string()), (bool, pa.bool_()), (float, pa.float64())):
        if kind in kinds:
            return arrow
    return pa.int64()


def distribution(found: Dimension) -> optuna.distributions.BaseDistribution:
    """Return a dimension as Optuna has it."""
    from optuna import distributions as optunas  # a second

    if isinstance(found, Float):
        return optunas.FloatDistribution(found.low, found.high, log=found.log)
    if isinstance(found, Int):
        return optunas.IntDistribution(found.low, found.high, log=found.log)
    return optunas.CategoricalDistribution(found.options)


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _range(low: Any, high: Any, log: Any, whole: Any) -> Float | Int:
    for name, value in (("log", log), ("int", whole)):
        if not isinstance(value, bool | None):
            raise ValueError(f"{name} must be true or false, got {value!r}")
    return Int(low, high, bool(log)) if whole else Float(low, high, bool(log))


def _on_scale(found: Float | Int, value: float) -> float:
    return math.log(value) if found.log else value
