"""Words for numbers."""

import math

MINUS = "\N{MINUS SIGN}"


def count_of(count: int, noun: str) -> str:
    """A number with its noun, such as ``1 run`` or ``3 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def signed_share(share: float) -> str:
    """A change as percentage with its sign."""
    return f"{100 * share:+.1f} %".replace("-", MINUS)


def number(value: float) -> str:
    """Four digits of a number; nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.4g}"
