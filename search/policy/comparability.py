"""Comparable or not compared: what two FIDs must have in common to be ranked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

NOT_CLEAN = "training data still mollified: the value cannot be compared"


def age_of(progress: float) -> float:
    """Return the age of a value: progress to a twentieth.

    Trainings with unlike batches see equally many images, but in whole steps.

    Examples:
        >>> age_of(213 / 320), age_of(320 / 480)
        (0.65, 0.65)
    """
    return round(20 * progress) / 20


class UnlikeValuesError(ValueError):
    """Values were to be ranked that do not compare; the message says in what they differ."""


@dataclass(frozen=True)
class Comparability:
    """All that must agree between two values that are ranked.

    Arguments:
        model: Name of the model.
        age: Share of the training behind the value, see `age_of`.
        probe: Whether it was measured at the end of a cooldown branch.
        extractor: Network, weights and resizing behind the FID.
        samples: Generated images.
        reference: What they were compared with.
        budget: Training images of the full budget.
    """

    model: str
    age: float
    probe: bool = False
    extractor: str = ""
    samples: int = 0
    reference: str = ""
    budget: int = 0


@dataclass(frozen=True)
class Value:
    """A measured value that may be ranked: on clean data, or at the end of a cooldown branch.

    Arguments:
        number: FID, or what else is optimised, lower being better; NaN if it is not finite.
        phase: ``mollified`` or ``clean``.
        like: What it may be compared with.

    Raises:
        UnlikeValuesError: If the data were still mollified and it is no probe. Such a value
            measures the leftover noise: its rank correlation with it is above .9.
    """

    number: float
    phase: str
    like: Comparability

    def __post_init__(self) -> None:
        if self.phase != "clean" and not self.like.probe:
            raise UnlikeValuesError(NOT_CLEAN)

    @property
    def finite(self) -> bool:
        """Whether it is a finite number."""
        return math.isfinite(self.number)


def ranked(values: Iterable[Value]) -> list[float]:
    """Return the finite ones of like values in rising order.

    Raises:
        UnlikeValuesError: If two values differ in anything of `Comparability`.
    """
    values = list(values)
    for value in values[1:]:
        require_alike(values[0], value)
    return sorted(value.number for value in values if value.finite)


def require_alike(one: Value, other: Value) -> None:
    """Raise an `UnlikeValuesError` unless the two may be ranked against each other."""
    for field in fields(Comparability):
        a, b = getattr(one.like, field.name), getattr(other.like, field.name)
        if a != b:
            raise UnlikeValuesError(
                f"values with {field.name} {a!r} and {b!r} cannot be ranked against each other"
            )
