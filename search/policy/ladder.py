"""The budgets of a search: the lengths that it trains, and the one that production will have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_BY_DEFAULT = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Ladder:
    """Budgets, as multiples of the length that the config gives.

    Arguments:
        scales: What is trained, rising; at least one.
        target: What production will have: where the best configuration is looked for.
    """

    scales: tuple[float, ...]
    target: float

    @classmethod
    def of(
        cls, own: float, budgets: Sequence[float] | None, target: float | None
    ) -> Ladder | None:
        """Return what a config asks for; None if it has one budget, and that is its target.

        Args:
            own: How long the config says to train, in any unit.
            budgets: What to train, in the same unit; if they begin with 1, in multiples of it.
                None: 1, 2 and 4 times that, as far as they are below the target.
            target: Production's budget in the same unit; None: the largest of ``budgets``.

        Raises:
            ValueError: If budgets do not rise, or the target is below one of them.

        Example:
            >>> Ladder.of(600, [1, 4], 4800)
            Ladder(scales=(1.0, 4.0), target=8.0)
        """
        if budgets is None and target is None:
            return None
        scales = scales_of(own, budgets) if budgets is not None else _below(target, own)
        wanted = scales[-1] if target is None else target / own
        if wanted < scales[-1]:
            raise ValueError(f"lies below the largest budget, {own * scales[-1]:,.10g}")
        found = cls(scales, wanted)
        return None if found == cls((1.0,), 1.0) else found

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Ladder:
        """Return what `to_dict` gave.

        Raises:
            KeyError: If one of its parts is missing; or a TypeError.
        """
        return cls(tuple(plain["scales"]), plain["target"])


def scales_of(own: float, budgets: Sequence[float]) -> tuple[float, ...]:
    """Return budgets as multiples of a length, see `Ladder.of`.

    Raises:
        ValueError: If there is none, or they do not rise from above 0.

    Example:
        >>> scales_of(600, [1, 4]), scales_of(600, [600, 2400])
        ((1.0, 4.0), (1.0, 4.0))
    """
    if not budgets or any(b >= a for b, a in zip((0, *budgets), budgets, strict=False)):
        raise ValueError("must be numbers above 0 that rise, such as [1, 4, 16]")
    unit = 1.0 if budgets[0] == 1 else own
    return tuple(budget / unit for budget in budgets)


def extrapolation(measured: float, asked: float, unit: str, ratio: float) -> str | None:
    """Say in one line that a training is longer than what was measured; None if it is not.

    Args:
        measured: The longest that was measured.
        asked: How long the training is.
        unit: What both are counted in.
        ratio: How many times as long it is, in images: a step may be of more of them.

    Example:
        >>> extrapolation(2400, 200_000, "steps", 200_000 / 2400)
        'measured to 2,400 steps; at 200,000 this is an extrapolation (ratio 83.3)'
    """
    if ratio <= 1.05:  # an epoch more or less is no other budget
        return None
    return (
        f"measured to {measured:,} {unit}; at {asked:,} this is an extrapolation (ratio "
        f"{ratio:.3g})"
    )


def _below(target: float | None, own: float) -> tuple[float, ...]:
    most = (target or own) / own
    if most < 1:
        raise ValueError(f"lies below the length of a trial, {own:,.10g}")
    return tuple(s for s in _BY_DEFAULT if s < most) or (1.0,)
