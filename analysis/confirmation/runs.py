"""The runs of the latest confirmation, read from the tables of a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.analysis.tables.comparable import minimised, require_alike, second_metric
from mollitune.analysis.tables.configurations import configuration_of, hyperspace_of
from mollitune.analysis.tables.results import Results
from mollitune.search.policy import Configuration, Hyperspace
from mollitune.search.store import (
    COMPARABLE_WITHIN,
    CONFIRM_TRIALS,
    confirmation_name,
    read_confirmation_file,
)

from .measures import other_metrics, values_of
from .paired import LEVEL

_NO_VALUE = "no finite value on clean data at full budget"
_NOT_RECOMMENDED = "no longer recommended by the search"


@dataclass
class ArmRuns:
    """The runs of one configuration.

    Attributes:
        configuration: Its number.
        what: Its schedule and hyperparameters.
        baseline: Whether it is the vanilla that all others are compared with.
        trials: Number of the complete run of each seed.
        fids: FID of each seed, or what else the search minimises.
        second: What the constraint bounds, of each seed; empty without one.
        others: The metrics that do not decide, by column and seed.
        failed: What went wrong with each seed that failed.
        dropped: Why it gets no more seeds; None if it does.
    """

    configuration: int
    what: Configuration
    baseline: bool = False
    trials: dict[int, int] = field(default_factory=dict)
    fids: dict[int, float] = field(default_factory=dict)
    second: dict[int, float] = field(default_factory=dict)
    others: dict[str, dict[int, float]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    dropped: str | None = None

    @property
    def out(self) -> str | None:
        """Why it is not judged with the others; the baseline always is."""
        if self.baseline:
            return None
        return self.dropped or next(iter(self.failed.values()), None)

    def is_done(self, planned: int) -> bool:
        """Whether no more of its runs are to come."""
        ended = self.fids.keys() | self.failed.keys()
        return self.out is not None or len(ended) >= planned


@dataclass(frozen=True)
class ConfirmationRuns:
    """The runs of a confirmation on one model at one budget.

    Attributes:
        number: Number of the confirmation, from 1.
        model: Name of the model.
        scale: The budget, as a multiple of the search's own length.
        budgets: How many budgets the confirmation has.
        planned: Seeds planned for each arm.
        level: Probability with which its verdict is to hold.
        anytime: Whether it is to hold for all numbers of seeds at once.
        earlier: Numbers of the confirmations whose seeds count, too, see `with_earlier`.
        arms: Its arms, by configuration.
        measured: Dataset, step, extractor, ... of the runs: what `COMPARABLE_WITHIN` names.
    """

    number: int
    model: str
    scale: float
    budgets: int
    planned: int
    level: float
    arms: tuple[ArmRuns, ...]
    measured: Mapping[str, Any]
    anytime: bool = False
    earlier: tuple[int, ...] = ()


def latest_number(results: Results) -> int | None:
    """Number of the latest confirmation that has a trial; None if there is none."""
    last = pc.max(results.tables["trials"]["trial"]).as_py()
    return None if last is None else last // CONFIRM_TRIALS or None


def contests(results: Results, number: int) -> list[tuple[str, float]]:
    """Each model of a confirmation with each budget that has a trial, in multiples; sorted."""
    trials = _rows(results, "trials", number)
    return sorted({*zip(trials["model"].tolist(), trials["scale"].tolist(), strict=True)})


def read_confirmation(
    results: Results, number: int, model: str, scale: float = 1.0
) -> ConfirmationRuns:
    """Read the runs of one model of a confirmation at one budget, one of its `contests`.

    Raises:
        MollituneError: If the FIDs were not all measured alike, a schedule's family is not
            registered here, or the file of the confirmation is corrupt.
    """
    plan = _plan(results, number, model)
    every, reports = (
        rows[rows["model"] == model].sort_values("trial")
        for rows in (_rows(results, name, number) for name in ("trials", "reports"))
    )
    trials, reports = every[every["scale"] == scale], reports[reports["scale"] == scale]
    comparable = minimised(reports[reports["comparable"]], results.objective)
    comparable = comparable[comparable["fid"].notna()]
    require_alike(results, comparable, COMPARABLE_WITHIN, hint="confirm the search again")
    arms = {n: arm for n, arm in plan.arms.items() if arm.what.scale == scale}
    space = hyperspace_of(results, model)
    for row in trials.to_dict("records"):
        number_of = int(row["configuration"])
        if number_of not in arms:
            own = _of_row(row, space)
            arms[number_of] = ArmRuns(number_of, own)
    # the first vanilla of the plan is the baseline
    for arm in [arm for arm in arms.values() if arm.what.is_vanilla][:1]:
        arm.baseline = True
    fids = dict(zip(comparable["trial"], comparable["fid"], strict=True))
    _add_runs(arms, trials, fids, set(reports.loc[reports["comparable"], "trial"]))
    if results.constraint is not None:
        seconds = second_metric(comparable, results.constraint)
        columns = comparable["configuration"], comparable["seed"], seconds
        for configuration, seed, value in zip(*columns, strict=True):
            arms[int(configuration)].second[int(seed)] = float(value)
    for number_of, others in values_of(comparable, other_metrics(results)).items():
        arms[number_of].others = others
    _add_drops(arms, _rows(results, "decisions", number), set(trials["trial"]))
    most = max(len(arm.fids.keys() | arm.failed.keys()) for arm in arms.values())
    return ConfirmationRuns(
        number=number,
        model=model,
        scale=scale,
        budgets=len({*every["scale"]} | {arm.what.scale for arm in plan.arms.values()}),
        planned=plan.seeds or most,
        level=plan.level,
        anytime=plan.anytime,
        arms=tuple(arms[configuration] for configuration in sorted(arms)),
        measured=_measured(trials, reports, plan),
    )


def with_earlier(results: Results, runs: ConfirmationRuns) -> ConfirmationRuns:
    """Add the seeds of earlier confirmations of the same schedules at the same budget.

    The seeds of one count where it has all arms that are still in and was measured alike. Its
    other arms are out: they were dropped, or the search does not recommend them any more.

    Raises:
        MollituneError: As for `read_confirmation`.
    """
    for number in range(runs.number - 1, 0, -1):
        if (runs.model, runs.scale) in contests(results, number):
            runs = _pooled(runs, read_confirmation(results, number, runs.model, runs.scale))
    return runs


def _pooled(runs: ConfirmationRuns, before: ConfirmationRuns) -> ConfirmationRuns:
    alike = all(runs.measured.get(c) == before.measured.get(c) for c in COMPARABLE_WITHIN)
    known = {arm.what: arm for arm in before.arms}
    own = [arm.what for arm in runs.arms]
    left = [known.get(arm.what) for arm in runs.arms if arm.out is None]
    found = [arm for arm in left if arm is not None and arm.out is None]
    seeds = set.intersection(*(set(arm.fids) for arm in found)) if found else set()
    if not alike or len(found) < len(left) or not seeds:
        return runs
    arms = [_joined(arm, known.get(arm.what), seeds) for arm in runs.arms]
    taken = {arm.configuration for arm in arms}
    for arm in before.arms:
        if arm.what not in own and arm.configuration not in taken:
            gone = arm.dropped or (None if arm.failed else _NOT_RECOMMENDED)
            arms.append(replace(arm, dropped=gone, baseline=False))
    return replace(
        runs,
        arms=tuple(arms),
        planned=runs.planned + len(seeds),
        earlier=(before.number, *runs.earlier),
    )


def _joined(arm: ArmRuns, before: ArmRuns | None, seeds: set[int]) -> ArmRuns:
    if before is None:
        return arm

    def some(values: Mapping[int, Any]) -> dict[int, Any]:
        return {seed: value for seed, value in values.items() if seed in seeds}

    return replace(
        arm,
        trials=some(before.trials) | arm.trials,
        fids=some(before.fids) | arm.fids,
        second=some(before.second) | arm.second,
        others={
            name: some(before.others.get(name, {})) | values for name, values in arm.others.items()
        },
    )


def dropped_before(results: Results, number: int, model: str, scale: float) -> set[Configuration]:
    """Return what the confirmations before one have dropped: it stays out.

    Raises:
        MollituneError: As for `read_confirmation`.
    """
    return {
        arm.what
        for earlier in range(1, number)
        if (model, scale) in contests(results, earlier)
        for arm in read_confirmation(results, earlier, model, scale).arms
        if arm.dropped is not None and not arm.baseline
    }


def _rows(results: Results, table: str, number: int) -> pd.DataFrame:
    """Rows of a confirmation, whose trials are numbered apart."""
    rows = results.tables[table]
    first, last = number * CONFIRM_TRIALS, (number + 1) * CONFIRM_TRIALS - 1
    own = pc.and_(pc.greater_equal(rows["trial"], first), pc.less_equal(rows["trial"], last))
    # before the conversion: of a million evaluations few are those of a confirmation
    frame: pd.DataFrame = rows.filter(own).to_pandas()
    return frame


@dataclass(frozen=True)
class _Plan:
    """What the file of a confirmation says about one model."""

    seeds: int | None = None
    level: float = LEVEL
    fid_samples: int = 0
    anytime: bool = False
    arms: Mapping[int, ArmRuns] = field(default_factory=dict)


def _plan(results: Results, number: int, model: str) -> _Plan:
    """What was planned, with the arms that have no trial yet; nothing without the file."""
    described = read_confirmation_file(results.files, number)
    if described is None:
        return _Plan()
    name = confirmation_name(number)
    try:
        arms = described.get("arms", {}).get(model, ())
        plan = _Plan(
            seeds=int(described["seeds"]),
            level=float(described.get("level", LEVEL)),
            fid_samples=int(described.get("fid_samples", 0)),
            anytime=bool(described.get("anytime", False)),
            arms={int(arm["configuration"]): _planned_arm(arm) for arm in arms},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MollituneError(
            f"{name} of {results.name!r} is corrupt ({first_line(error)}); restore it from a copy"
        ) from error
    if plan.seeds is None or plan.seeds < 1 or not 0 < plan.level < 1:
        raise MollituneError(
            f"{name} of {results.name!r} is corrupt: seeds must be at least 1 and level between "
            f"0 and 1, got {plan.seeds} and {plan.level}; restore it from a copy"
        )
    return plan


def _planned_arm(described: Mapping[str, Any]) -> ArmRuns:
    number = int(described["configuration"])
    try:
        return ArmRuns(number, Configuration.from_dict(described))
    except ValueError as error:
        raise _not_built(f"configuration {number}", error) from error


def _of_row(row: Mapping[Any, Any], space: Hyperspace) -> Configuration:
    try:
        return configuration_of(row, space)
    except ValueError as error:
        raise _not_built(f"trial {row['trial']}", error) from error


def _not_built(whose: str, error: ValueError) -> MollituneError:
    return MollituneError(
        f"the schedule of {whose} cannot be built: {first_line(error)}; "
        "import the module that registers its family first"
    )


def _add_runs(
    arms: Mapping[int, ArmRuns], trials: pd.DataFrame, fids: Mapping[int, float], seen: set[int]
) -> None:
    for row in trials.to_dict("records"):
        arm, seed, trial = arms[int(row["configuration"])], int(row["seed"]), int(row["trial"])
        if trial in fids:
            arm.trials[seed], arm.fids[seed] = trial, float(fids[trial])
        elif row["status"] == "failed":
            arm.failed[seed] = row["error"] if isinstance(row["error"], str) else "failed"
        elif row["status"] == "completed" and (trial in seen or math.isnan(row["final_fid"])):
            # one with a final FID may only not have been seen in the reports yet
            arm.failed[seed] = _NO_VALUE
    for arm in arms.values():  # a run that failed and was made again has not failed
        for seed in arm.fids.keys() & arm.failed.keys():
            del arm.failed[seed]


def _add_drops(arms: Mapping[int, ArmRuns], decisions: pd.DataFrame, trials: set[int]) -> None:
    chosen = (decisions["policy"] == "confirm") & (decisions["action"] == "drop")
    for row in decisions[chosen].to_dict("records"):
        if row["trial"] in trials and not arms[int(row["configuration"])].baseline:
            arms[int(row["configuration"])].dropped = str(row["reason"])


def _measured(trials: pd.DataFrame, reports: pd.DataFrame, plan: _Plan) -> dict[str, Any]:
    """How the FIDs are measured; before the first of them, what the plan says about it."""
    first = trials.iloc[0]
    planned = {
        "dataset": first["dataset"],
        "extractor": "",
        "fid_samples": plan.fid_samples,
        "fid_reference": "",
    }
    last = reports.sort_values("comparable").iloc[-1:].to_dict("records")
    shown = {name: row[name] for row in last for name in COMPARABLE_WITHIN}
    return {**planned, **shown, "step": first["steps"]}
