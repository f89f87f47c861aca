"""Checks of arguments: one ValueError per bad argument, with its name, value and legal range."""

import math
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def require(condition: bool, name: str, value: object, legal: str) -> None:
    """Raise a ValueError unless ``condition`` holds.

    Args:
        condition: Whether the value is legal.
        name: Name of the argument as the caller wrote it.
        value: The value that was given.
        legal: The legal values in words, e.g. ``"in (0, 1]"``.

    Raises:
        ValueError: If the condition does not hold.
    """
    if not condition:
        raise ValueError(f"{name} must be {legal}, got {value!r}")


def finite_number(name: str, value: object) -> float:
    """Return ``value`` as a float.

    Raises:
        ValueError: If it is no real number (a bool is none), or if it is NaN or infinite.
    """
    if not isinstance(value, float) and (isinstance(value, bool) or not isinstance(value, Real)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        # The value itself may be an integer of thousands of digits, so the float is shown.
        raise ValueError(f"{name} must be a finite number, got {number!r}")
    return number


def valid_progress(progress: float) -> float:
    """Return ``progress``, the share of training that is done, as a float.

    Raises:
        ValueError: If it is negative, infinite or NaN. Values above 1 are legal: training that
            goes on past its planned end is clean.
    """
    # Written so that NaN, for which every comparison is false, fails as well.
    if not 0.0 <= progress < math.inf:
        raise ValueError(f"progress must be a finite number >= 0, got {progress!r}")
    return float(progress)


def require_float_tensor(x: "torch.Tensor") -> None:
    """Raise a ValueError unless ``x`` is a floating-point tensor."""
    import torch

    if not isinstance(x, torch.Tensor):
        raise ValueError(f"x must be a torch.Tensor, got {type(x).__name__}")
    if not x.is_floating_point():
        raise ValueError(
            f"x must be a floating-point tensor in the model's own space, got {x.dtype}; "
            "convert it first, for bytes e.g. x.float() / 127.5 - 1"
        )
