"""Whether the best arm is the same one at all budgets: claimed only where it is sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from .judgement import judge
from .paired import LEVEL


@dataclass(frozen=True)
class Choice:
    """Which arms may be the best at each budget.

    Attributes:
        tied: For each budget, rising, the arms that cannot be told apart from the best there.
        unit: What budgets are counted in.
        arms: How many were compared: those that were measured at all budgets.
        left_out: How many were not; of these nothing is said.
    """

    tied: Mapping[int, frozenset[str]]
    unit: str = "steps"
    arms: int = 0
    left_out: int = 0

    @property
    def kind(self) -> Literal["same", "changes", "open"]:
        """Whether one arm is best at ``same`` all budgets, that ``changes``, or it is ``open``."""
        if self.change is not None:
            return "changes"
        first = next(iter(self.tied.values()), frozenset[str]())
        alone = len(first) == 1 and all(own == first for own in self.tied.values())
        return "same" if alone and len(self.tied) > 1 else "open"

    @property
    def change(self) -> tuple[int, int] | None:
        """The closest two budgets at which the best arm differs for sure; None without such."""
        pairs = combinations(self.tied, 2)
        apart = [(a, b) for a, b in pairs if not self.tied[a] & self.tied[b]]
        return min(apart, key=lambda pair: pair[1] / pair[0], default=None)

    @property
    def sentence(self) -> str:
        """It in words."""
        among = f" (of the {self.arms} arms that have all budgets)" * (self.left_out > 0)
        if self.change is not None:
            before, after = self.change
            return f"the choice changes between {before:,} and {after:,} {self.unit}{among}"
        if self.kind == "same":
            (arm,) = next(iter(self.tied.values()))
            who = "vanilla" if arm.startswith("vanilla") else "the same schedule"
            named = "" if arm == "vanilla" else f": {arm}"
            return f"{who} wins at all budgets measured{among}{named}"
        return "it cannot be told whether the choice depends on the budget"


def choice(
    values: Mapping[int, Mapping[str, Mapping[int, float]]],
    unit: str = "steps",
    level: float = LEVEL,
) -> Choice:
    """Say whether the best arm depends on the budget.

    At each budget the arms are judged as in a verdict, see `judge`. The best arm of every budget
    is among those that are tied there, all at once with probability ``level``. So where two
    budgets have none in common, the best arm has changed between them; where one alone is tied at
    all, it is the best at all. ``benchmarks/trend.py`` simulates how often that errs.

    Args:
        values: For each budget and arm the values by seed, lower being better. What is not
            measured at all budgets on two seeds is left out: of it nothing can be said.
        unit: What budgets are counted in.
        level: Probability with which everything holds, in [.5, 1).

    Raises:
        ValueError: If a value is not finite, or ``level`` is out of range.

    Example:
        >>> one, other = {0: 5.0, 1: 5.2, 2: 4.9}, {0: 9.0, 1: 9.3, 2: 8.9}
        >>> found = choice({600: {"a": one, "b": other}, 2400: {"a": other, "b": one}})
        >>> found.sentence
        'the choice changes between 600 and 2,400 steps'
    """
    known = {arm for arms in values.values() for arm in arms}
    names = sorted(
        arm for arm in known if all(len(arms.get(arm, ())) > 1 for arms in values.values())
    )
    if len(names) < 2:
        return Choice({}, unit, len(names), len(known) - len(names))
    # an arm is no longer tied if it errs to one side, half of what `judge` allows for
    each = 1 - 2 * (1 - level) / len(values)
    tied = {
        budget: judge({i: values[budget][n] for i, n in enumerate(names)}, -1, 0, (), each).tied
        for budget in sorted(values)
    }
    texts = {budget: frozenset(names[i] for i in own) for budget, own in tied.items()}
    return Choice(texts, unit, len(names), len(known) - len(names))
