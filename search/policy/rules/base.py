"""What a stopping rule is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mollitune.search.policy.comparability import NOT_CLEAN


@dataclass(frozen=True)
class Judgement:
    """What a rule says on a value among those of its rung.

    Arguments:
        goes_on: Whether the run goes on.
        reason: Why, in words.
        cutoff: The value that was needed to go on.
    """

    goes_on: bool
    reason: str
    cutoff: float


def best_share(fid: float, rung: Sequence[float], eta: float) -> Judgement:
    """Let about the best 1/eta of a rung go on; see `Rule.judge`."""
    cutoff = float(np.quantile(rung, 1 / eta))
    best = f"among the best 1/{eta:g} of this rung"
    return Judgement(fid <= cutoff, best if fid <= cutoff else f"not {best}", cutoff)


class Rule(ABC):
    """When a run is stopped early. A rule has no state: the rungs keep the values.

    What no rule decides: values meet only if they compare, one that is not finite stops its run,
    vanilla and repeated runs go on, and a share of those to be stopped goes on as an audit.

    Attributes:
        name: How configs, decisions and reports call it.
        description: What it does, in a few words for lists of rules.
        probes: Whether it judges FIDs of cooldown branches, which are then measured at its marks.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    probes: ClassVar[bool] = False

    @abstractmethod
    def marks(self, grace: float, reduction_factor: float) -> tuple[float, ...]:
        """Return where its rungs lie, as shares of the training.

        Args:
            grace: Progress of the first rung, in (0, 1].
            reduction_factor: The search's, > 1.

        Returns:
            Progress of the rungs, rising, above 0; one at 1 judges nobody.
        """

    def skips(self, fid: float, phase: str) -> str | None:
        """Return why an evaluation at a rung is not to be judged, or None if it is.

        The rungs refuse a value on mollified data that is no branch's, whatever is said here.

        Args:
            fid: The FID, that of the branch if the rule `probes`.
            phase: ``mollified`` or ``clean``.
        """
        return None if self.probes or phase == "clean" else NOT_CLEAN

    def judge(self, fid: float, rung: Sequence[float], eta: float) -> Judgement:
        """Judge a value on its rung, once that holds ``min_competitors``.

        Args:
            fid: The value, finite; lower is better.
            rung: All values so far in the order of arrival, this one last.
            eta: The search's ``reduction_factor``.
        """
        return best_share(fid, rung, eta)

    def __str__(self) -> str:
        return self.name
