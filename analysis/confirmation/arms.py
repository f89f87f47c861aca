"""The arms of a confirmation and the verdict on them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mollitune.analysis.words import fid_text, plus_minus
from mollitune.schedules import Schedule
from mollitune.search.policy import Settings
from mollitune.search.store import Constraint, Objective

from .judgement import Difference, kept_level
from .measures import Measure
from .paired import detectable, standard_deviation

FORMAT = "mollitune.verdict"
"""Value of ``format`` in `Verdict.to_dict` and in the file."""


VERSION = 1
"""Version of both; it grows when a key changes its meaning."""


@dataclass(frozen=True)
class Arm:
    """One configuration of a confirmation, and what its runs on fresh seeds showed.

    Attributes:
        configuration: Number of the configuration, as in the tables.
        schedule: The schedule.
        settings: The hyperparameters that were searched beside it.
        text: Both as short text.
        trials: Numbers of its complete runs, in the order of the seeds.
        seeds: Their seeds.
        fids: Their FIDs against the test images, at full budget on clean data.
        mean: Mean FID; NaN without a complete run.
        error: Standard error of the mean; NaN for fewer than two runs.
        difference: Mean difference from the baseline, vanilla or tuned vanilla, in FID on the same
            seeds; negative is better; None for the baseline itself and without a seed in common.
        low: Lower end of the simultaneous interval of the difference; None without one.
        high: Upper end.
        tied: Whether it cannot be told apart from the best.
        out: Why it got no more seeds before the end, or failed; None if it was kept to the end.
        failed: Whether it is out since a run failed.
        baseline: Whether it is the vanilla that the others are compared with.
        equal: Difference from vanilla at the arm's own hyperparameters: what the schedule alone
            does; None where these were not searched, or are those of the baseline.
        second: What the constraint bounds, the mean over its runs, or with a bound that is
            measured from vanilla the mean difference from the baseline; None without one.
        allowed: Whether it keeps the constraint.
        measures: What it shows in the metrics that do not decide, by column.
    """

    configuration: int
    schedule: Schedule
    settings: Settings
    text: str
    trials: tuple[int, ...]
    seeds: tuple[int, ...]
    fids: tuple[float, ...]
    mean: float
    error: float
    difference: float | None
    low: float | None
    high: float | None
    tied: bool
    out: str | None
    failed: bool = False
    baseline: bool = False
    equal: Difference | None = None
    second: float | None = None
    allowed: bool = True
    measures: Mapping[str, Measure] = field(default_factory=dict)

    @property
    def is_vanilla(self) -> bool:
        """Whether its data are never mollified."""
        return self.schedule.family == "vanilla"

    @property
    def beats_vanilla(self) -> bool:
        """Whether it was kept and better than the baseline, and its schedule does it.

        The interval of the difference lies below zero, and so does that of the difference from
        vanilla at the arm's own hyperparameters, if they are not those of the baseline.
        """
        ends = [self.high, *([] if self.equal is None else [self.equal.high])]
        below = all(end is not None and end < 0 for end in ends)
        return self.out is None and not self.is_vanilla and below

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval; None without one."""
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low) / 2

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values; None instead of NaN."""
        return {
            "configuration": self.configuration,
            "schedule": self.schedule.to_dict(),
            "settings": dict(self.settings),
            "text": self.text,
            "trials": list(self.trials),
            "seeds": list(self.seeds),
            "fids": list(self.fids),
            "mean": _plain(self.mean),
            "error": _plain(self.error),
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "equal": None if self.equal is None else self.equal._asdict(),
            "beats_vanilla": self.beats_vanilla,
            "second": self.second,
            "allowed": self.allowed,
            "measures": {name: own._asdict() for name, own in self.measures.items()},
            "tied": self.tied,
            "out": self.out,
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Verdict:
    """What a confirmation says about the schedules of one model at one budget.

    Attributes:
        search: Name of the search.
        number: Number of the confirmation, from 1.
        model: Name of the model.
        dataset: Name of the data set.
        steps: Training steps of each run; where batch sizes were searched, of the first.
        extractor: Network behind the FIDs.
        fid_samples: Generated images behind each FID.
        fid_final: Which evaluations make the value of a run, as in the tables.
        reference: Split of the data set that the FIDs compare with.
        level: Probability that all intervals of one model at one budget hold at once, and that
            the best schedule is in the tie set; over all confirmations of a search, see `looks`,
            it is 0.95.
        planned: Seeds that were planned for each arm, those of ``earlier`` included.
        complete: Whether every arm has got them, is out, or has failed.
        arms: The arms, lowest mean first, those that are out last.
        sentence: The verdict in one honest sentence.
        also: What the metrics that do not decide make of the choice, or of the closest to it, in
            one more; empty where there is nothing to say.
        metrics: Those metrics, by column.
        budget: Training images of each run; 0 for confirmations of an earlier version.
        metric: What the values are of: FID, or what else the search minimises.
        constraint: What a second metric must keep; None without such a bound.
        scale: The budget as a multiple of the length that the search's config gives.
        ladder: Whether the confirmation has other budgets, too: then the sentence names this one.
        earlier: Numbers of the confirmations before whose seeds count, too.
        anytime: Whether all of it holds for all numbers of seeds at once.
    """

    search: str
    number: int
    model: str
    dataset: str
    steps: int
    extractor: str
    fid_samples: int
    reference: str
    level: float
    planned: int
    complete: bool
    arms: tuple[Arm, ...]
    sentence: str = ""
    also: str = ""
    metrics: Mapping[str, Objective] = field(default_factory=dict)
    budget: int = 0
    fid_final: str = "last"
    metric: str = "FID"
    constraint: Constraint | None = None
    scale: float = 1.0
    ladder: bool = False
    earlier: tuple[int, ...] = ()
    anytime: bool = False

    @property
    def tie_set(self) -> tuple[Arm, ...]:
        """The arms that cannot be told apart from the best."""
        return tuple(arm for arm in self.arms if arm.tied)

    @property
    def vanilla(self) -> Arm | None:
        """The baseline, whose data are never mollified; None if it has no trial yet."""
        return next((arm for arm in self.arms if arm.baseline), None)

    @property
    def schedules(self) -> tuple[Arm, ...]:
        """The arms with mollification."""
        return tuple(arm for arm in self.arms if not arm.is_vanilla)

    @property
    def length(self) -> str:
        """How long each run trains, in words."""
        batches = {dict(arm.settings).get("batch_size") for arm in self.arms}
        if len(batches) > 1 and self.budget:
            return f"{self.budget:,} training images"
        return f"{self.steps:,} steps"

    @property
    def where(self) -> str:
        """What it holds for: the model, and of several budgets this one."""
        return f"{self.model} at {self.length}" if self.ladder else self.model

    @property
    def joint(self) -> bool:
        """Whether hyperparameters were searched: then both sides were tuned."""
        return any(arm.settings for arm in self.arms)

    @property
    def choice(self) -> Arm | None:
        """The arm to use in production.

        Of the arms that beat vanilla, keep the constraint and cannot be told apart from the best,
        the one with the lowest mean; the baseline if none beats it; None only as long as that has
        no trial.
        """
        beating = [arm for arm in self.arms if arm.beats_vanilla and arm.allowed]
        best = [arm for arm in beating if arm.tied]
        return next(iter(best or beating), self.vanilla)

    @property
    def detectable(self) -> float | None:
        """The true difference from vanilla that has an 80 % chance to be detected, in FID.

        With the seeds so far and the median spread of the arms that were kept; None without two
        paired seeds.
        """
        base = self.vanilla
        kept = [arm for arm in self.arms if arm.out is None and arm.half_width is not None]
        if base is None or not kept:
            return None
        pairs = [_differences(arm, base) for arm in kept]
        sd = float(np.median([standard_deviation(values) for values in pairs]))
        fewest = min(map(len, pairs))
        return detectable(sd, fewest, len(self.arms) - 1, kept_level(self.level))

    def table(self) -> pd.DataFrame:
        """One row per arm, in their order, as text that fits a terminal; `arms` has the numbers.

        Columns: ``schedule``, ``seeds`` (how many), ``FID`` (mean ± standard error, named after
        the images that it compares with, such as ``test FID``), ``from vanilla`` (the difference
        ± half of its interval; negative is better), where hyperparameters were searched ``alone``
        (the same from vanilla at the arm's own: what the schedule alone does), with a constraint
        the mean of its metric (from vanilla, if the bound is), and ``verdict`` (choice, tied,
        beats vanilla, not allowed, or why it is out).
        """
        choice = self.choice if self.complete else None
        rows = [
            {
                "schedule": arm.text,
                "seeds": str(len(arm.seeds)),
                f"{self.reference} {self.metric}".strip(): _with_error(arm.mean, arm.error),
                "from vanilla": _with_error(arm.difference, arm.half_width),
                **({"alone": _with_equal(arm)} if self.joint else {}),
                **self._bounded(arm),
                "verdict": _said(arm, arm is choice, len(self.tie_set) > 1),
            }
            for arm in self.arms
        ]
        return pd.DataFrame(rows, dtype="str")

    def _bounded(self, arm: Arm) -> dict[str, str]:
        if self.constraint is None:
            return {}
        shown = "" if arm.second is None else fid_text(arm.second, self.constraint.bound.relative)
        return {self.constraint.metric.title: shown}

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values; None instead of NaN."""
        choice = self.choice
        return {
            "format": FORMAT,
            "version": VERSION,
            "search": self.search,
            "number": self.number,
            "model": self.model,
            "dataset": self.dataset,
            "steps": self.steps,
            "budget": self.budget,
            "scale": self.scale,
            "metric": self.metric,
            "constraint": None if self.constraint is None else str(self.constraint),
            "extractor": self.extractor,
            "fid_samples": self.fid_samples,
            "fid_final": self.fid_final,
            "reference": self.reference,
            "level": self.level,
            "earlier": list(self.earlier),
            "anytime": self.anytime,
            "planned": self.planned,
            "complete": self.complete,
            "choice": None if choice is None else choice.configuration,
            "tie_set": [arm.configuration for arm in self.tie_set],
            "detectable": self.detectable,
            "sentence": self.sentence,
            "also": self.also,
            "arms": [arm.to_dict() for arm in self.arms],
        }


def _with_error(value: float | None, error: float | None) -> str:
    """A FID with its error, where they are known."""
    if value is None or math.isnan(value):
        return ""
    if error is None or math.isnan(error):
        return fid_text(value)
    return plus_minus(value, error)


def _with_equal(arm: Arm) -> str:
    """What the schedule of an arm alone does, where that is known by itself."""
    if arm.is_vanilla or (arm.equal is not None and not arm.equal.seeds):
        return ""
    if arm.equal is None:
        return _with_error(arm.difference, arm.half_width)
    return _with_error(arm.equal.mean, arm.equal.half_width)


def _said(arm: Arm, chosen: bool, ties: bool) -> str:
    """What the verdict says of an arm, in a few words."""
    if arm.out is not None:
        return f"failed: {arm.out}" if arm.failed else "dropped: clearly worse"
    said = {
        "not allowed": not arm.allowed,
        "choice": chosen,
        "tied": arm.tied and ties,
        "beats vanilla": arm.beats_vanilla,
    }
    return ", ".join(word for word, holds in said.items() if holds)


def _differences(arm: Arm, base: Arm) -> list[float]:
    """FIDs of an arm minus those of another, on the seeds that both have."""
    other = dict(zip(base.seeds, base.fids, strict=True))
    own = zip(arm.seeds, arm.fids, strict=True)
    return [fid - other[seed] for seed, fid in own if seed in other]


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
