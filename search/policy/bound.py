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
    """The second metric of the configurations of one model, and what the bound makes of them.

    Arguments:
        bound: The bound.
    """

    bound: Bound
    _values: dict[int, dict[int, float]] = field(default_factory=dict)

    def note(self, configuration: int, repeat: int, value: float) -> None:
        """Note the second metric of a complete run."""
        self._values.setdefault(configuration, {})[repeat] = value

    def worth(self, worth: Mapping[int, float], vanilla: int | None) -> dict[int, float]:
        """Make what breaks the bound worth no more than the worst.

        So it is neither promoted before what keeps it, nor does a sampler look around it.

        Args:
            worth: What configurations are worth, lower being better.
            vanilla: The vanilla configuration that a relative bound is measured from, if any.
        """
        worst, own = max(worth.values()), None if vanilla is None else self._mean(vanilla)
        return {
            number: value if self.bound.allows(self._mean(number), own) else worst
            for number, value in worth.items()
        }

    def _mean(self, configuration: int) -> float | None:
        values = self._values.get(configuration)
        return statistics.fmean(values.values()) if values else None
