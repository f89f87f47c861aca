"""One-line errors for bad arguments: each names the argument, its value and the legal range."""

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

Shape = tuple[int, int, int]


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


def check_shape(shape: object) -> Shape:
    """Returns ``shape`` as a tuple ``(C, H, W)`` of ints >= 1, or raises ValueError."""
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) != 3:
        raise ValueError(f"shape must be three integers (channels, height, width), got {shape!r}")
    channels, height, width = (check_int("each entry of shape", side, 1) for side in shape)
    return channels, height, width


def suggestion(value: object, allowed: Sequence[str]) -> str:
    """The tail of an error message: the closest allowed name, if any, and then all of them."""
    close = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ";"
    return f"{hint} allowed: {', '.join(allowed) or 'none'}"
