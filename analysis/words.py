"""Words for numbers."""

import math

from mollitune.search.store import CONFIRM_TRIALS

MINUS = "\N{MINUS SIGN}"
_FINEST = 6  # decimals; what is smaller is rounding


def fid_text(value: float, signed: bool = False) -> str:
    """A FID, or a difference of two: three to four digits, never an exponent; nothing for NaN.

    Args:
        value: The FID.
        signed: Whether a positive one gets its sign too.

    Examples:
        >>> [fid_text(value) for value in (1342.4, 130.42, 68.937, 8.4612, 0.01234, 0)]
        ['1,342', '130.4', '68.94', '8.46', '0.0123', '0.00']
        >>> fid_text(14.2, signed=True)
        '+14.20'
    """
    if not math.isfinite(value):
        return "" if math.isnan(value) else str(value)
    rounded = float(f"{value:.4g}")
    sign = "+" if signed else ""
    return f"{rounded:{sign}z,.{_decimals(rounded)}f}".replace("-", MINUS)


def _decimals(value: float) -> int:
    """Decimals that give a number four digits, or three below 10."""
    size = math.floor(math.log10(abs(value))) if value else 0
    return min(max(3 - size if size > 0 else 2 - size, 0), _FINEST)


def interval_text(low: float, high: float) -> str:
    """The ends of an interval of FIDs."""
    return f"{fid_text(low)} to {fid_text(high)}"


def plus_minus(value: float, half: float) -> str:
    """A value with the half-width of its interval, to two digits of the latter at most.

    Examples:
        >>> plus_minus(14.234, 3.148), plus_minus(0.25, 12.7), plus_minus(20.1333, 0.0882)
        ('14.2 ± 3.1', '0 ± 13', '20.13 ± 0.09')
    """
    digits = 2 if half <= 0 else max(0, 1 - math.floor(math.log10(half)))
    digits = min(digits, _decimals(max(abs(value), half)))
    return f"{value:z.{digits}f} ± {half:.{digits}f}".replace("-", MINUS)


def count_of(count: int, noun: str) -> str:
    """A number with its noun, such as ``1 run`` or ``3 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def run_name(trial: int) -> str:
    """A trial as a person reads it; those of a confirmation have numbers of seven digits.

    Examples:
        >>> run_name(12), run_name(1_000_003), run_name(2_000_003)
        ('trial 12', 'confirmation run 3', 'confirmation 2, run 3')
    """
    confirmation, number = divmod(trial, CONFIRM_TRIALS)
    if confirmation > 1:
        return f"confirmation {confirmation}, run {number}"
    return f"confirmation run {number}" if confirmation else f"trial {number}"


def signed_share(share: float) -> str:
    """A change as percentage with its sign."""
    return f"{100 * share:+.1f} %".replace("-", MINUS)


def number(value: float) -> str:
    """Four digits of a number; nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.4g}"
