"""The best schedule of a search, and its way into production."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.analysis.confirmation.arms import Arm, Verdict
from mollitune.analysis.confirmation.verdict import verdicts
from mollitune.analysis.tables.comparable import comparable_reports, longest, require_alike
from mollitune.analysis.tables.configurations import configuration_of, hyperspace_of
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of, fid_text, interval_text
from mollitune.schedules import Option, Schedule
from mollitune.search.policy import Configuration, Hyperspace
from mollitune.search.store import COMPARABLE_WITHIN

from .equal import Equal, equal_hyperparameters
from .leaderboard import ranked


@dataclass(frozen=True)
class Best:
    """The configuration with the lowest expected FID of its model.

    Attributes:
        search: Name of the search.
        configuration: Number of the configuration.
        model: Name of the model.
        dataset: Name of the data set.
        schedule: Its schedule; vanilla if no schedule is expected to do better.
        settings: Its hyperparameters, as far as they were searched.
        text: Schedule and hyperparameters as short text.
        runs: Number of its complete runs.
        seeds: Their seeds, in the order of the runs.
        trial: Its run with the median FID, the better of two in the middle.
        trial_fid: FID of that run.
        fid_expected: FID to expect on a fresh seed.
        fid_low: Lower end of its 90 % interval; None where no seed was repeated yet.
        fid_high: Upper end.
        fid_run_low: Lower end of the interval in which one run on a fresh seed lies with 90 %;
            None where no seed was repeated yet.
        fid_run_high: Upper end.
        fid_mean: Mean FID of its runs, at full budget on clean data.
        fid_lowest: Lowest FID of its runs.
        vanilla_runs: Number of complete runs of that configuration.
        vanilla_expected: FID to expect without mollification, at the best hyperparameters tried
            for it; None without such a run.
        vanilla_text: That configuration as short text; None without one.
        at_an_end: Hyperparameters whose range should be wider: the best of a side lies at an end.
        equal: What the schedule alone does: FID to expect minus that of vanilla at the same
            hyperparameters, over all that were tried; None where none were searched.
        vanilla_mean: Mean FID of its runs; None without one.
        lowest_configuration: Number of the configuration with the lowest FID of a single run.
        lowest_text: Its schedule as short text.
        lowest_runs: Number of its complete runs.
        lowest_fid: That lowest FID.
        others_tried: Number of configurations besides vanilla that were started.
        others_finished: Number of these that have a complete run.
        steps: Training steps.
        extractor: Network behind the FID.
        fid_samples: Number of samples behind the FID.
        verdict: What the latest confirmation says of this model, of several budgets at the
            largest; None without one.
        metric: What all values above are of: FID, or what else the search minimises.
        constraint: How many configurations keep the bound on another metric, in words; None
            without one.
        budgets: Number of budgets that were measured.
        target: Training steps of production in a search over several budgets: what is expected is
            expected there, and what was measured is of ``steps``; None where both are the same.
    """

    search: str
    configuration: int
    model: str
    dataset: str
    schedule: Schedule
    settings: Mapping[str, Option]
    text: str
    runs: int
    seeds: tuple[int, ...]
    trial: int
    trial_fid: float
    fid_expected: float
    fid_low: float | None
    fid_high: float | None
    fid_run_low: float | None
    fid_run_high: float | None
    fid_mean: float
    fid_lowest: float
    vanilla_runs: int
    vanilla_expected: float | None
    vanilla_text: str | None
    at_an_end: tuple[str, ...]
    equal: Equal | None
    vanilla_mean: float | None
    lowest_configuration: int
    lowest_text: str
    lowest_runs: int
    lowest_fid: float
    others_tried: int
    others_finished: int
    steps: int
    extractor: str
    fid_samples: int
    verdict: Verdict | None
    metric: str = "FID"
    constraint: str | None = None
    budgets: int = 1
    target: int | None = None

    @property
    def is_vanilla(self) -> bool:
        """Whether the best configuration is one without mollification."""
        return self.schedule.family == "vanilla"

    @property
    def confirmed(self) -> Arm | None:
        """The arm that the verdict chooses; None before a confirmation is complete."""
        return self.verdict.choice if self.verdict is not None and self.verdict.complete else None

    @property
    def production(self) -> Schedule:
        """The schedule to train with: the verdict's choice, or before one the search's."""
        return self.schedule if self.confirmed is None else self.confirmed.schedule

    @property
    def production_settings(self) -> Mapping[str, Option]:
        """The hyperparameters to train with, as far as they were searched."""
        return self.settings if self.confirmed is None else dict(self.confirmed.settings)

    @property
    def sentence(self) -> str:
        """The verdict; before one what to expect of the best schedule, in one sentence."""
        if self.verdict is not None:
            return self.verdict.sentence
        expected = fid_text(self.fid_expected)
        if not self.is_vanilla:
            versus = "there is no vanilla run to compare with"
            if self.vanilla_expected is not None:
                tuned = f"{self.vanilla_text} (tuned as much)" if self.settings else "vanilla"
                versus = f"{tuned} {fid_text(self.vanilla_expected)}"
            equal = f"; {self.equal.sentence}" if self.equal is not None else ""
            return (
                f"On {self._where}, {self.text} looks best: expected {self.metric} {expected}, "
                f"{versus}{equal}{self._bounded}; not confirmed yet."
            )
        vanilla = f"{self.text} (expected {self.metric} {expected})"
        if self.others_finished:
            return (
                f"On {self._where}, no schedule tried is expected to beat {vanilla}"
                f"{self._bounded}; not confirmed yet."
            )
        nothing = "has finished yet" if self.others_tried else "was tried"
        return f"On {self._where}, no schedule {nothing} to compare with {vanilla}."

    @property
    def details(self) -> str:
        """How sure the search is, what it measured, and the best single run."""
        return self._from_the_search if self.verdict is None else self._after_the_verdict

    @property
    def _after_the_verdict(self) -> str:
        where = f" at {self.target:,} steps" if self.target is not None else ""
        expected = (
            f"expected {self.metric} {fid_text(self.fid_expected)} on validation data{where}"
        )
        search = f"The search recommended {self.text}, with {expected}."
        if self.confirmed is None:
            return search
        return f"For production: {self.confirmed.text}. {search}"

    @property
    def _from_the_search(self) -> str:
        sure = "No schedule was trained with a second seed, so there is no interval."
        low, high = self.fid_low, self.fid_high
        run_low, run_high = self.fid_run_low, self.fid_run_high
        if low is not None and high is not None and run_low is not None and run_high is not None:
            sure = (
                f"The mean over seeds lies in {interval_text(low, high)}, one fresh run in "
                f"{interval_text(run_low, run_high)} (90 % each)."
            )
        where = f" at {self.steps:,} steps" if self.target is not None else ""
        measured = f"Measured{where}: {fid_text(self.fid_mean)} in {count_of(self.runs, 'run')}"
        if self.runs > 1:
            measured = (
                f"Measured{where}: {fid_text(self.fid_mean)} on average over {self.runs} runs, "
                f"{fid_text(self.fid_lowest)} at best"
            )
        if self.vanilla_mean is not None and not self.is_vanilla:
            runs = count_of(self.vanilla_runs, "run")
            measured += f"; vanilla {fid_text(self.vanilla_mean)} in {runs}"
        used = "this schedule too"
        if self.lowest_configuration != self.configuration:
            used = f"{self.lowest_text}, which has {count_of(self.lowest_runs, 'run')}"
        lowest = f"The best single run ({self.metric} {fid_text(self.lowest_fid)}) used {used}."
        wider = ""
        if self.at_an_end:
            names = " and ".join(self.at_an_end)
            wider = f" The best lies at an end of the range of {names}: search a wider one."
        return f"{sure} {measured}. {lowest}{wider}"

    @property
    def _where(self) -> str:
        if self.budgets == 1 and self.target is None:
            return self.model
        return f"{self.model} at {self.target or self.steps:,} steps"

    @property
    def _bounded(self) -> str:
        return "" if self.constraint is None else f"; {self.constraint}"


def best(results: Results, model: str | None = None) -> Best:
    """Recommend the configuration with the lowest expected FID, see `leaderboard`.

    The lowest of many single FIDs is mostly luck: seeds move FID as much as schedules do. So the
    mean over seeds is shrunk towards what similar shapes have shown. Treat the result as a
    candidate until it is confirmed on fresh seeds. Vanilla training itself may be the best.
    In a search over several budgets it is the best that is expected at the target; in one whose
    trials differ in length for another reason, the largest counts. See `trends`, too.

    Args:
        results: Results of a search.
        model: The model; by default the one with the lowest expected FID.

    Raises:
        MollituneError: If there is no such model, nothing has finished, the FIDs were not all
            measured alike, or the schedule's family is not registered here.
    """
    rows = comparable_reports(results, model)
    if rows.empty:
        where = f"of model {model!r} " if model is not None else ""
        raise MollituneError(
            f"no trial {where}of the search {results.name!r} has finished on clean data with a "
            "finite FID yet, so there is no best schedule"
        )
    # budgets may differ between models, and their FIDs still compare: same data, same measure
    shared = [column for column in COMPARABLE_WITHIN if column not in ("model", "budget")]
    require_alike(results, rows, shared, hint="name one of them: --model, or model=")
    budgets = rows.groupby("model")["budget"].nunique()
    board = ranked(results, model)
    if results.ladder is None:
        rows = longest(rows)
        board = board[board["configuration"].isin(rows["configuration"])]
    first = board[board["rank"] == 1].sort_values(["fid_expected", "model"])["model"].iloc[0]
    own = rows[rows["model"] == first]
    within = [c for c in COMPARABLE_WITHIN if results.ladder is None or c != "budget"]
    require_alike(results, own, within)
    found = _recommend(results, own, board[board["model"] == first])
    return replace(found, budgets=int(budgets[first]))


def median_run(runs: pd.DataFrame) -> pd.Series:
    """The run with the median FID, the better of two in the middle.

    Args:
        runs: Comparable rows of ``reports``, at least one.
    """
    return runs.sort_values(["fid", "trial"]).iloc[(len(runs) - 1) // 2]


def _recommend(results: Results, rows: pd.DataFrame, board: pd.DataFrame) -> Best:
    """Make the recommendation from the runs of one model and their leaderboard."""
    top = board.iloc[0].to_dict()
    of_longest = board[board["step"] == board["step"].max()]
    lowest = of_longest.sort_values(["fid_lowest", "rank"]).iloc[0].to_dict()
    runs = rows[rows["configuration"] == top["configuration"]].sort_values("trial")
    median = median_run(runs)
    model = str(top["model"])
    space = hyperspace_of(results, model)
    plain = next(iter(board[board["family"] == "vanilla"].to_dict("records")), None)
    own = _configuration(median.to_dict(), space)
    # one budget tells nothing of another
    ladder = results.ladder if rows["scale"].nunique() > 1 else None
    target = None if ladder is None else ladder.target
    return Best(
        search=str(median["search"]),
        configuration=int(top["configuration"]),
        model=str(top["model"]),
        dataset=str(median["dataset"]),
        schedule=own.schedule,
        settings=dict(own.settings),
        text=str(top["schedule"]),
        runs=len(runs),
        seeds=tuple(map(int, runs["seed"])),
        trial=int(median["trial"]),
        trial_fid=float(median["fid"]),
        fid_expected=float(top["fid_expected"]),
        fid_low=_known(top["fid_low"]),
        fid_high=_known(top["fid_high"]),
        fid_run_low=_known(top["fid_run_low"]),
        fid_run_high=_known(top["fid_run_high"]),
        fid_mean=float(top["fid_mean"]),
        fid_lowest=float(top["fid_lowest"]),
        vanilla_runs=0 if plain is None else int(plain["runs"]),
        vanilla_expected=_known(top["vanilla_expected"]),
        vanilla_text=None if plain is None else str(plain["schedule"]),
        at_an_end=tuple(dict.fromkeys(_ends(rows, (top, plain), space))),
        equal=equal_hyperparameters(rows, own.schedule, space, results.objective.title, target),
        vanilla_mean=_known(top["vanilla_mean"]),
        lowest_configuration=int(lowest["configuration"]),
        lowest_text=str(lowest["schedule"]),
        lowest_runs=int(lowest["runs"]),
        lowest_fid=float(lowest["fid_lowest"]),
        others_tried=_others_tried(results, median),
        others_finished=int((board["family"] != "vanilla").sum()),
        steps=int(top["step"]),
        extractor=str(top["extractor"]),
        fid_samples=int(top["fid_samples"]),
        verdict=_verdict(results, str(top["model"])),
        metric=results.objective.title,
        constraint=_kept(results, board),
        target=None if target is None else round(int(top["step"]) * target / own.scale),
    )


def _kept(results: Results, board: pd.DataFrame) -> str | None:
    """How many configurations keep the constraint, in words; None without one."""
    if results.constraint is None:
        return None
    kept, of = int(board["allowed"].sum()), count_of(len(board), "configuration")
    if not kept:
        return f"none of {of} keeps {results.constraint}, this one neither"
    return f"{kept} of {of} keep{'s' if kept == 1 else ''} {results.constraint}"


def _others_tried(results: Results, run: pd.Series) -> int:
    """Configurations besides vanilla of a run's budget that were started, however they ended."""
    rows = results.trials
    own = (rows["stage"] == "search") & (rows["family"] != "vanilla")
    for column in ("model", "budget"):
        own &= rows[column] == run[column]
    return int(rows.loc[own, "configuration"].nunique())


def _ends(
    rows: pd.DataFrame, best_of_each: Sequence[Mapping[Hashable, Any] | None], space: Hyperspace
) -> Iterator[str]:
    for side in best_of_each:
        if side is not None:
            own = rows[rows["configuration"] == side["configuration"]].iloc[0].to_dict()
            yield from space.at_an_end(_configuration(own, space).settings)


def _configuration(run: Mapping[Hashable, Any], space: Hyperspace) -> Configuration:
    try:
        return configuration_of(run, space)
    except ValueError as error:
        raise MollituneError(
            f"the schedule of trial {run['trial']} cannot be built: {first_line(error)}; "
            "import the module that registers its family first"
        ) from error


def _verdict(results: Results, model: str) -> Verdict | None:
    """The verdict on a model, of several budgets at the largest."""
    own = [verdict for verdict in verdicts(results) if verdict.model == model]
    return own[-1] if own else None


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
