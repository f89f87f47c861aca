"""The verdict of a confirmation: which schedules beat vanilla, and which cannot be told apart."""

from __future__ import annotations

import json
import math
import posixpath
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mollitune._errors import MollituneError
from mollitune._files import first_line, write_atomic
from mollitune.schedules import Schedule

from ._confirmation import ArmRuns, confirmed_models, latest_number, read_confirmation
from ._verdict_text import sentence
from .judgement import Judgement, judge, kept_level
from .paired import detectable, standard_deviation
from .results import Results

VERDICT_FILE = "verdict.json"
"""Name of the file with the verdicts on all models, in the search's folder."""
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

    @property
    def sentence(self) -> str:
        """The verdict in one honest sentence."""
        return sentence(self)

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


def verdict(results: Results, model: str | None = None) -> Verdict:
    """Judge one model by the latest confirmation of a search.

    Args:
        results: Results of a search.
        model: The model; not needed if only one was confirmed.

    Raises:
        MollituneError: If there is no confirmation, it has no such model or several and none was
            named, its FIDs were not all measured alike, or a schedule cannot be built.
    """
    number = latest_number(results)
    if number is None:
        raise MollituneError(
            f"no confirmation of {results.name!r} yet; run: mollitune confirm {results.name}"
        )
    models = confirmed_models(results, number)
    if model is None and len(models) > 1:
        raise MollituneError(
            f"confirmation {number} of {results.name!r} has several models; name one of: "
            f"{', '.join(models)}"
        )
    wanted = models[0] if model is None else model
    if wanted not in models:
        raise MollituneError(
            f"confirmation {number} of {results.name!r} has no model {wanted!r}; it has: "
            f"{', '.join(models)}"
        )
    return _verdict(results, number, wanted)


def verdicts(results: Results) -> list[Verdict]:
    """Judge all models by the latest confirmation of a search, in the order of their names.

    Args:
        results: Results of a search.

    Returns:
        One verdict per model; none if there is no confirmation.

    Raises:
        MollituneError: As for `verdict`.
    """
    number = latest_number(results)
    if number is None:
        return []
    return [_verdict(results, number, model) for model in confirmed_models(results, number)]


def write_verdict(results: Results) -> list[Verdict]:
    """Write `VERDICT_FILE` with the verdicts on all models into the search's folder.

    It holds ``format``, ``version`` and ``verdicts``, the list of their `Verdict.to_dict`. An
    earlier one is replaced. Without a confirmation nothing is written.

    Args:
        results: Results of a search.

    Returns:
        The verdicts.

    Raises:
        MollituneError: As for `verdict`, or if the file cannot be written.
    """
    found = verdicts(results)
    if not found:
        return found
    content = {
        "format": FORMAT,
        "version": VERSION,
        "verdicts": [verdict.to_dict() for verdict in found],
    }
    path = posixpath.join(results.root, VERDICT_FILE)
    try:
        data = json.dumps(content, indent=2, allow_nan=False).encode()
        write_atomic(results.filesystem, path, data)
    except OSError as error:
        raise MollituneError(f"cannot write {path}: {first_line(error)}") from error
    return found


def _verdict(results: Results, number: int, model: str) -> Verdict:
    runs = read_confirmation(results, number, model)
    vanilla = next((arm.configuration for arm in runs.arms if arm.is_vanilla), -1)
    judgement = judge(
        {arm.configuration: arm.fids for arm in runs.arms},
        vanilla,
        runs.planned,
        {arm.configuration for arm in runs.arms if arm.out is not None},
        runs.level,
    )
    arms = [_arm(arm, judgement) for arm in runs.arms]
    return Verdict(
        search=results.name,
        number=number,
        model=model,
        dataset=str(runs.measured["dataset"]),
        steps=int(runs.measured["step"]),
        extractor=str(runs.measured["extractor"]),
        fid_samples=int(runs.measured["fid_samples"]),
        reference=str(runs.measured["fid_reference"]),
        level=runs.level,
        planned=runs.planned,
        complete=all(arm.is_done(runs.planned) for arm in runs.arms),
        arms=tuple(sorted(arms, key=_order)),
    )


def _arm(runs: ArmRuns, judgement: Judgement) -> Arm:
    seeds = tuple(sorted(runs.fids))
    fids = tuple(runs.fids[seed] for seed in seeds)
    spread = float(np.std(fids, ddof=1)) if len(fids) > 1 else math.nan
    against = judgement.differences.get(runs.configuration)
    return Arm(
        configuration=runs.configuration,
        schedule=runs.schedule,
        text=str(runs.schedule),
        trials=tuple(runs.trials[seed] for seed in seeds),
        seeds=seeds,
        fids=fids,
        mean=float(np.mean(fids)) if fids else math.nan,
        error=spread / math.sqrt(len(fids)) if fids else math.nan,
        difference=None if against is None else against.mean,
        low=None if against is None else against.low,
        high=None if against is None else against.high,
        tied=runs.configuration in judgement.tied,
        out=runs.out,
        failed=runs.out is not None and runs.dropped is None,
    )


def _differences(arm: Arm, base: Arm) -> list[float]:
    """FIDs of an arm less those of another, on the seeds that both have."""
    other = dict(zip(base.seeds, base.fids, strict=True))
    own = zip(arm.seeds, arm.fids, strict=True)
    return [fid - other[seed] for seed, fid in own if seed in other]


def _order(arm: Arm) -> tuple[bool, float, int]:
    mean = math.inf if math.isnan(arm.mean) else arm.mean
    return arm.out is not None, mean, arm.configuration


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
