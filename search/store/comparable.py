"""Comparable or not compared: which FIDs of the tables may be ranked against each other."""

from __future__ import annotations

import math


def is_comparable(progress: float, phase: str, fid: float | None) -> bool:
    """Tell whether an FID may be ranked against others of the same model and extractor.

    FID of a model that is still trained on mollified data measures the leftover noise, and one
    that is taken early measures the speed of learning. So only the value at the full budget
    counts, and only when the data is clean by then.

    Examples:
        >>> is_comparable(1.0, "clean", 31.5)
        True
        >>> is_comparable(1.0, "mollified", 31.5), is_comparable(0.9, "clean", 31.5)
        (False, False)
    """
    return progress >= 1 and phase == "clean" and fid is not None and math.isfinite(fid)


COMPARABLE_WITHIN = [
    "model",
    "dataset",
    "budget",
    "extractor",
    "extractor_sha256",
    "extractor_resize",
    "fid_samples",
    "fid_final",
    "fid_reference",
    "fid_reference_size",
]
"""Columns in which two FID values must agree to be ranked against each other."""
