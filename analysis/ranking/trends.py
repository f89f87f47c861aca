"""What may be said of a model's arms over all budgets: where they pay, and which one to choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from mollitune.analysis.confirmation.choice import Choice, choice
from mollitune.analysis.confirmation.paired import LEVEL
from mollitune.analysis.confirmation.trend import Trend, trend
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of, fid_text, interval_text
from mollitune.search.policy import extrapolation

from .ladder import Key, Measured, ladder, measured, target_of

_SHOWN = 5
_NOT_CONFIRMED = "; not confirmed yet"


class ArmTrend(NamedTuple):
    """How the difference of one arm from vanilla moves with the budget.

    Attributes:
        key: What the arm is.
        arm: The same as short text.
        source: Where it was measured, ``confirm`` or ``search``: both never mix in one trend.
        trend: Its trend; those of all arms of a model hold at once.
    """

    key: Key
    arm: str
    source: str
    trend: Trend

    @property
    def sentence(self) -> str:
        """It in words."""
        return self.trend.sentence(self.arm) + _NOT_CONFIRMED * (self.source == "search")


class Trends(NamedTuple):
    """What is known of one model over the budgets.

    Attributes:
        model: Name of the model.
        unit: What budgets are counted in: ``steps``, or ``images`` where batch sizes differ.
        budgets: Those that were measured, rising, in that unit.
        target: Production's budget in that unit; None if the config names none.
        arms: The trends, what is sure first; none with fewer than two budgets.
        choice: Whether the best arm depends on the budget; None with fewer than two budgets.
        confirmed: Whether the choice is about fresh seeds.
    """

    model: str
    unit: str
    budgets: tuple[int, ...]
    target: int | None
    arms: tuple[ArmTrend, ...] = ()
    choice: Choice | None = None
    confirmed: bool = False

    @property
    def sentences(self) -> list[str]:
        """The trends and the choice in words."""
        return [f"On {self.model}, {words}." for words in self._words()]

    @property
    def extrapolation(self) -> str | None:
        """One line if production is longer than all that was measured; None if it is not."""
        if self.target is None or not self.budgets or not self.budgets[-1]:
            return None
        longest = self.budgets[-1]
        return extrapolation(longest, self.target, self.unit, self.target / longest)

    def _words(self) -> Iterator[str]:
        yield from (arm.sentence for arm in self.arms[:_SHOWN])
        if len(self.arms) > _SHOWN:
            yield f"{count_of(len(self.arms) - _SHOWN, 'other trend')} not listed"
        if self.choice is not None:
            yield self.choice.sentence + _NOT_CONFIRMED * (not self.confirmed)


def trends(results: Results, model: str | None = None) -> list[Trends]:
    """Say for each model how the effect of its arms moves with the budget.

    An arm has a trend if it was measured on two paired seeds at two budgets or more: by the latest
    confirmation, or else by the search. What is said of all arms of a model holds at once with
    95 %; what is said of the search is also about arms that were chosen for their values.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.

    Returns:
        One entry per model of which something has finished, in the order of their names; without
        trends where there is one budget.

    Raises:
        MollituneError: As for `ladder`.
    """
    found = measured(results, model)
    names = sorted({one.model for one in found})
    return [_of_model(results, [one for one in found if one.model == name]) for name in names]


def per_budget(results: Results, model: str) -> list[str]:
    """Say for each budget which arm has the lowest mean, a line each, the smallest first.

    Args:
        results: Results of a search.
        model: Name of the model.

    Raises:
        MollituneError: As for `ladder`.
    """
    rows, title = ladder(results, model), results.objective.title
    mean = f"{results.objective.prefix}_mean"
    lines = []
    for _, rung in rows.groupby("budget", sort=True):
        confirmed = rung[rung["source"] == "confirm"]
        own = rung if confirmed.empty else confirmed
        best, paired = own.iloc[0], own[own["pairs"] > 0]
        line = f"at {best['steps']:,} steps {best['arm']} has the lowest mean, {title} "
        line += fid_text(best[mean])
        if not paired.empty:
            first = paired.iloc[0]
            line += ", " if first["arm"] == best["arm"] else f"; next {first['arm']}, "
            line += _from_vanilla(first)
        lines.append(line + _NOT_CONFIRMED * confirmed.empty)
    return lines


def _from_vanilla(row: pd.Series) -> str:
    ends = f"({interval_text(row['low'], row['high'])}, 95 %) " if row["pairs"] > 1 else ""
    pairs = count_of(int(row["pairs"]), "paired seed")
    return f"{fid_text(row['difference'], signed=True)} from vanilla {ends}on {pairs}"


def _of_model(results: Results, found: Sequence[Measured]) -> Trends:
    unit, count = _counted(found)
    target = target_of(results, found)
    longest = max(count)
    if target is not None:
        target = target if unit == "images" else target * count[longest] / longest
    known = Trends(
        model=found[0].model,
        unit=unit,
        budgets=tuple(sorted(count.values())),
        target=None if target is None else round(target),
    )
    if len(count) < 2:
        return known
    confirmed = len({one.budget for one in found if one.source == "confirm"}) > 1
    own = [one for one in found if one.source == ("confirm" if confirmed else "search")]
    names = _names(found)
    values: dict[int, dict[str, Mapping[int, float]]] = {}
    for one in own:
        values.setdefault(count[one.budget], {})[names[one.key]] = one.values
    return known._replace(
        arms=tuple(_arms(found, count, unit, names)),
        choice=choice(values, unit),
        confirmed=confirmed,
    )


def _counted(found: Sequence[Measured]) -> tuple[str, dict[int, int]]:
    """Each budget in steps, or in images where batch sizes differ."""
    steps: dict[int, set[int]] = {}
    for one in found:
        steps.setdefault(one.budget, set()).add(one.steps)
    if all(len(own) == 1 for own in steps.values()):
        return "steps", {budget: min(own) for budget, own in sorted(steps.items())}
    return "images", {budget: budget for budget in sorted(steps)}


def _names(found: Sequence[Measured]) -> dict[Key, str]:
    """The arms as text; two that round to the same text are told apart by a number."""
    names: dict[Key, str] = {}
    for one in found:
        if one.key not in names:
            alike = sum(name.partition(" #")[0] == one.arm for name in names.values())
            names[one.key] = f"{one.arm} #{alike + 1}" if alike else one.arm
    return names


def _arms(
    found: Sequence[Measured], count: Mapping[int, int], unit: str, names: Mapping[Key, str]
) -> list[ArmTrend]:
    differences: dict[tuple[Key, str], dict[int, list[float]]] = {}
    for one in found:
        own = one.differences
        if len(own) > 1:
            differences.setdefault((one.key, one.source), {})[count[one.budget]] = own
    known = {pair: own for pair, own in differences.items() if len(own) > 1}
    # what fresh seeds say counts, and both are measured against other images
    kept = {pair: known[pair] for pair in known if pair[1] == "confirm"}
    kept |= {
        (key, source): own for (key, source), own in known.items() if (key, "confirm") not in kept
    }
    level = 1 - (1 - LEVEL) / max(len(kept), 1)
    arms = [
        ArmTrend(key, names[key], source, trend(own, unit, level))
        for (key, source), own in kept.items()
    ]
    return sorted(arms, key=lambda arm: (arm.trend.kind == "open", arm.source, arm.arm))
