"""A bound on a second metric: what a configuration must keep to be recommended."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bound:
    """The highest value of a second metric that is allowed; lower is better.

    Arguments:
        limit: That value; with ``relative`` what is added to the value of vanilla.
        relative: Whether it is measured from vanilla, as well as that could be tuned.
    """

    limit: float
    relative: bool = False

    def allows(self, value: float | None, vanilla: float | None) -> bool:
        """Return whether a value is allowed; while one that it takes is not known, everything is.

        Args:
            value: Mean of the second metric over the runs of a configuration.
            vanilla: The same of vanilla.
        """
        if value is None or (self.relative and vanilla is None):
            return True
        return value <= self.limit + (vanilla or 0.0) * self.relative


@dataclass
class Bounded:
    """The complete runs of one model, and what the bound makes of its configurations.

    Arguments:
        bound: The bound.
    """

    bound: Bound
    _vanilla: set[int] = field(default_factory=set)
    _values: dict[int, list[float]] = field(default_factory=dict)
    _seconds: dict[int, list[float]] = field(default_factory=dict)

    def note(
        self, configuration: int, is_vanilla: bool, value: float, second: float | None
    ) -> float:
        """Note a complete run; return what a sampler is to be told of it.

        Args:
            configuration: Number of its configuration.
            is_vanilla: Whether that has no mollification.
            value: What is minimised.
            second: The bounded metric; None where it is not finite.

        Returns:
            The value; of a configuration that breaks the bound none that is good.
        """
        if is_vanilla:
            self._vanilla.add(configuration)
        self._values.setdefault(configuration, []).append(value)
        if second is not None:
            self._seconds.setdefault(configuration, []).append(second)
        means = {number: statistics.fmean(own) for number, own in self._values.items()}
        kept = self.worth(means)[configuration]
        return value if kept == means[configuration] else max(value, kept)

    def worth(self, worth: Mapping[int, float]) -> dict[int, float]:
        """Make what breaks the bound worth no more than the worst.

        So it is not promoted before what keeps it.

        Args:
            worth: What configurations with complete runs are worth, lower being better.
        """
        plain = [number for number in worth if number in self._vanilla]
        best = min(plain, key=lambda number: (worth[number], number), default=None)
        vanilla, worst = None if best is None else self._second(best), max(worth.values())
        return {
            number: own if self.bound.allows(self._second(number), vanilla) else worst
            for number, own in worth.items()
        }

    def _second(self, configuration: int) -> float | None:
        values = self._seconds.get(configuration)
        return statistics.fmean(values) if values else None
