"""One-line errors for bad arguments: each names the argument, its value and the legal range."""

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

Shape = tuple[int, ...]
"""Shape of one observation: ``(C, H, W)`` of an image or ``(D,)`` of a vector."""


def check_int(name: str, value: object, low: int) -> int:
    """Returns ``value`` as an int, or raises ValueError unless it is an integer >= ``low``."""
    # bool is an Integral, but `hidden=True` is always a mistake.
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise ValueError(f"{name} must be an integer >= {low}, got {value!r}")
    return int(value)


def check_real(name: str, value: object, low: float) -> float:
    """Returns ``value`` as a float, or raises ValueError unless it is finite and >= ``low``."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < low:  # type: ignore[arg-type,operator]
        raise ValueError(f"{name} must be a finite number >= {low:g}, got {value!r}")
    return float(value)  # type: ignore[arg-type]


def check_choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Returns ``value``, or raises ValueError (with the closest match) if it is not allowed."""
    allowed = sorted(allowed)
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"unknown {name} {value!r}{suggestion(value, allowed)}")
    return value


def check_shape(shape: object, *, vectors: bool = False) -> Shape:
    """Returns ``shape`` as a tuple of ints >= 1, or raises ValueError.

    Args:
        shape: ``(C, H, W)`` of an image, or, if ``vectors``, ``(D,)`` of a vector.
        vectors: whether the shape of a vector is legal.
    """
    lengths = (1, 3) if vectors else (3,)
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) not in lengths:
        wanted = "three integers (channels, height, width)"
        wanted += " or one (dimensions of a vector)" if vectors else ""
        raise ValueError(f"shape must be {wanted}, got {shape!r}")
    return tuple(check_int("each entry of shape", side, 1) for side in shape)


def suggestion(value: object, allowed: Sequence[str]) -> str:
    """The tail of an error message: the closest allowed name, if any, and then all of them."""
    close = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ";"
    return f"{hint} allowed: {', '.join(allowed) or 'none'}"
