"""The arms of a confirmation and the verdict on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mollitune.schedules import Schedule

from .judgement import kept_level
from .paired import detectable, standard_deviation

FORMAT = "mollitune.verdict"
"""Value of ``format`` in `Verdict.to_dict` and in the file."""


VERSION = 1
"""Version of both; it grows when a key changes its meaning."""


@dataclass(frozen=True)
class Arm:
    """One schedule of a confirmation, and what its runs on fresh seeds showed.

    Attributes:
        configuration: Number of the configuration, as in the tables.
        schedule: The schedule.
        text: The schedule as short text.
        trials: Numbers of its complete runs, in the order of the seeds.
        seeds: Their seeds.
        fids: Their FIDs against the test images, at full budget on clean data.
        mean: Mean FID; NaN without a complete run.
        error: Standard error of the mean; NaN for fewer than two runs.
        difference: Mean over the seeds of its FID less that of vanilla on the same seed; negative
            is better; None for vanilla itself and without a seed in common.
        low: Lower end of the simultaneous interval of the difference; None without one.
        high: Upper end.
        tied: Whether it cannot be told apart from the best.
        out: Why it got no more seeds before the end, or failed; None if it was kept to the end.
        failed: Whether it is out since a run failed.
    """

    configuration: int
    schedule: Schedule
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

    @property
    def is_vanilla(self) -> bool:
        """Whether its data are never mollified."""
        return self.schedule.family == "vanilla"

    @property
    def beats_vanilla(self) -> bool:
        """Whether the whole interval of the difference lies below zero, and it was kept."""
        return self.out is None and self.high is not None and self.high < 0

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
            "text": self.text,
            "trials": list(self.trials),
            "seeds": list(self.seeds),
            "fids": list(self.fids),
            "mean": _plain(self.mean),
            "error": _plain(self.error),
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "beats_vanilla": self.beats_vanilla,
            "tied": self.tied,
            "out": self.out,
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Verdict:
    """What a confirmation says about the schedules of one model.

    Attributes:
        search: Name of the search.
        number: Number of the confirmation, from 1.
        model: Name of the model.
        dataset: Name of the data set.
        steps: Training steps of each run.
        extractor: Network behind the FIDs.
        fid_samples: Generated images behind each FID.
        reference: Split of the data set that the FIDs compare with.
        level: Probability that all intervals of one model hold at once, and that the best
            schedule is in the tie set.
        planned: Seeds that were planned for each arm.
        complete: Whether every arm has got them, is out, or has failed.
        arms: The arms, lowest mean first, those that are out last.
        sentence: The verdict in one honest sentence.
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

    @property
    def tie_set(self) -> tuple[Arm, ...]:
        """The arms that cannot be told apart from the best."""
        return tuple(arm for arm in self.arms if arm.tied)

    @property
    def vanilla(self) -> Arm | None:
        """The arm whose data are never mollified; None if it has no trial yet."""
        return next((arm for arm in self.arms if arm.is_vanilla), None)

    @property
    def choice(self) -> Arm | None:
        """The arm to use in production.

        Of the arms that beat vanilla and cannot be told apart from the best, the one with the
        lowest mean FID; vanilla if none beats it; None only as long as vanilla has no trial.
        """
        beating = [arm for arm in self.arms if arm.beats_vanilla]
        best = [arm for arm in beating if arm.tied]
        return next(iter(best or beating), self.vanilla)

    @property
    def detectable(self) -> float | None:
        """The true difference to vanilla that is found four times in five, in FID.

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
        """One row per arm, in their order, to be printed.

        Columns: ``schedule`` (as text), ``configuration``, ``seeds`` (how many), ``fid`` (mean),
        ``error`` (standard error of the mean), ``difference`` to vanilla with its interval
        ``low`` to ``high`` (NaN without one), ``beats`` (vanilla), ``tied`` and ``out`` (empty
        for an arm that was kept).
        """
        rows = [
            {
                "schedule": arm.text,
                "configuration": arm.configuration,
                "seeds": len(arm.seeds),
                "fid": arm.mean,
                "error": arm.error,
                "difference": arm.difference,
                "low": arm.low,
                "high": arm.high,
                "beats": arm.beats_vanilla,
                "tied": arm.tied,
                "out": arm.out or "",
            }
            for arm in self.arms
        ]
        numbers = dict.fromkeys(("fid", "error", "difference", "low", "high"), "float64")
        return pd.DataFrame(rows).astype(numbers)

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
            "extractor": self.extractor,
            "fid_samples": self.fid_samples,
            "reference": self.reference,
            "level": self.level,
            "planned": self.planned,
            "complete": self.complete,
            "choice": None if choice is None else choice.configuration,
            "tie_set": [arm.configuration for arm in self.tie_set],
            "detectable": self.detectable,
            "sentence": self.sentence,
            "arms": [arm.to_dict() for arm in self.arms],
        }


def _differences(arm: Arm, base: Arm) -> list[float]:
    """FIDs of an arm less those of another, on the seeds that both have."""
    other = dict(zip(base.seeds, base.fids, strict=True))
    own = zip(arm.seeds, arm.fids, strict=True)
    return [fid - other[seed] for seed, fid in own if seed in other]


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
