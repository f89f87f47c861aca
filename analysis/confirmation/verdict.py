"""The verdict of a confirmation: which schedules beat vanilla, and which cannot be told apart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mollitune._errors import MollituneError
from mollitune.analysis.tables.results import Results
from mollitune.search.store import Constraint

from .arms import FORMAT, VERSION, Arm, Verdict
from .judgement import Judgement, judge
from .measures import measures, other_metrics
from .runs import ArmRuns, contests, latest_number, read_confirmation, with_earlier
from .sentence import by_other_metrics, sentence

VERDICT_FILE = "verdict.json"
"""Name of the file with the verdicts on all models, in the search's folder."""


def verdict(results: Results, model: str | None = None, budget: int | None = None) -> Verdict:
    """Judge one model by the latest confirmation of a search.

    Args:
        results: Results of a search.
        model: The model; not needed if only one was confirmed.
        budget: Training images of each run, as in `Verdict.budget`; by default the largest.

    Raises:
        MollituneError: If there is no confirmation, it has no such model or several and none was
            named, no such budget, its FIDs were not all measured alike, or a schedule cannot be
            built.
    """
    number = latest_number(results)
    if number is None:
        raise MollituneError(
            f"no confirmation of {results.name!r} yet; run: mollitune confirm {results.name}"
        )
    known = contests(results, number)
    models = list(dict.fromkeys(name for name, _ in known))
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
    scales = [scale for name, scale in known if name == wanted]
    if budget is None:
        return _verdict(results, number, wanted, scales[-1])
    found = {own.budget: own for own in (_verdict(results, number, wanted, s) for s in scales)}
    if budget not in found:
        raise MollituneError(
            f"confirmation {number} of {results.name!r} has no budget of {budget:,} images; it "
            f"has: {' and '.join(f'{images:,}' for images in found)}"
        )
    return found[budget]


def verdicts(results: Results) -> list[Verdict]:
    """Judge all models by the latest confirmation of a search, in the order of their names.

    With several budgets each is judged by itself, the shortest first.

    Args:
        results: Results of a search.

    Returns:
        One verdict per model and budget; none if there is no confirmation.

    Raises:
        MollituneError: As for `verdict`.
    """
    number = latest_number(results)
    if number is None:
        return []
    return [_verdict(results, number, *contest) for contest in contests(results, number)]


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
    data = json.dumps(content, indent=2, allow_nan=False).encode()
    results.files.write(VERDICT_FILE, data)
    return found


def _verdict(results: Results, number: int, model: str, scale: float) -> Verdict:
    runs = with_earlier(results, read_confirmation(results, number, model, scale))
    baseline = next((arm for arm in runs.arms if arm.baseline), None)
    judgement = judge(
        {arm.configuration: arm.fids for arm in runs.arms},
        -1 if baseline is None else baseline.configuration,
        runs.planned,
        {arm.configuration for arm in runs.arms if arm.out is not None},
        runs.level,
        dict(_twins(runs.arms, baseline)),
        runs.anytime,
    )
    plain = {} if baseline is None else baseline.others
    arms = [
        replace(_arm(arm, judgement), measures=measures(arm.others, plain)) for arm in runs.arms
    ]
    if results.constraint is not None:
        arms = [
            _bounded(arm, own, baseline, results.constraint)
            for arm, own in zip(arms, runs.arms, strict=True)
        ]
    found = Verdict(
        search=results.name,
        number=number,
        model=model,
        dataset=str(runs.measured["dataset"]),
        steps=int(runs.measured["step"]),
        budget=int(runs.measured.get("budget", 0)),
        extractor=str(runs.measured["extractor"]),
        fid_samples=int(runs.measured["fid_samples"]),
        fid_final=str(runs.measured.get("fid_final", "last")),
        reference=str(runs.measured["fid_reference"]),
        level=runs.level,
        planned=runs.planned,
        complete=all(arm.is_done(runs.planned) for arm in runs.arms),
        arms=tuple(sorted(arms, key=_order)),
        metric=results.objective.title,
        metrics=other_metrics(results),
        constraint=results.constraint,
        scale=scale,
        ladder=runs.budgets > 1,
        earlier=runs.earlier,
        anytime=runs.anytime,
    )
    return replace(found, sentence=sentence(found), also=by_other_metrics(found))


def _twins(arms: Sequence[ArmRuns], baseline: ArmRuns | None) -> Iterator[tuple[int, int]]:
    """Yield arms with vanilla at their own hyperparameters, where these are not the baseline's."""
    plain = {arm.what.settings: arm for arm in arms if arm.what.is_vanilla}
    for arm in arms:
        twin = plain.get(arm.what.settings)
        if twin is not None and not arm.what.is_vanilla and twin is not baseline:
            yield arm.configuration, twin.configuration


def _bounded(arm: Arm, runs: ArmRuns, baseline: ArmRuns | None, constraint: Constraint) -> Arm:
    """Say what an arm makes of the constraint: on paired seeds where vanilla sets the bound."""
    bound, base = constraint.bound, {} if baseline is None else baseline.second
    values = list(runs.second.values())
    if bound.relative:
        values = [value - base[seed] for seed, value in runs.second.items() if seed in base]
    if not values:
        return arm
    mean = float(np.mean(values))
    return replace(arm, second=mean, allowed=bound.allows(mean, 0.0))


def _arm(runs: ArmRuns, judgement: Judgement) -> Arm:
    seeds = tuple(sorted(runs.fids))
    fids = tuple(runs.fids[seed] for seed in seeds)
    spread = float(np.std(fids, ddof=1)) if len(fids) > 1 else math.nan
    against = judgement.differences.get(runs.configuration)
    return Arm(
        configuration=runs.configuration,
        schedule=runs.what.schedule,
        settings=runs.what.settings,
        text=str(runs.what.at(1)),  # the verdict has the budget
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
        baseline=runs.baseline,
        equal=judgement.equal.get(runs.configuration),
    )


def _order(arm: Arm) -> tuple[bool, float, int]:
    mean = math.inf if math.isnan(arm.mean) else arm.mean
    return arm.out is not None, mean, arm.configuration
