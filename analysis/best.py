"""The best schedule of a search, and its way into production."""

import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.schedules import Schedule

from ._schedules import schedule_of, schedule_text
from .leaderboard import COMPARABLE_WITHIN, comparable_reports
from .results import Results

_NOTE = "lowest FID of one search, one seed, not yet confirmed on fresh seeds"


@dataclass(frozen=True)
class Best:
    """The finished trial with the lowest FID of its model.

    Attributes:
        search: Name of the search.
        trial: Number of the trial.
        model: Name of the model.
        dataset: Name of the data set.
        schedule: Its schedule; vanilla when no mollification did better.
        text: The schedule as short text.
        fid: Its FID at full budget on clean data.
        vanilla_fid: FID without mollification, the mean over the vanilla trials; None without.
        seed: Its seed.
        steps: Training steps.
        extractor: Network behind the FID.
        fid_samples: Number of samples behind the FID.
        confirmation_runs: Finished re-runs of this model on fresh seeds, of any schedule.
    """

    search: str
    trial: int
    model: str
    dataset: str
    schedule: Schedule
    text: str
    fid: float
    vanilla_fid: float | None
    seed: int
    steps: int
    extractor: str
    fid_samples: int
    confirmation_runs: int

    @property
    def is_vanilla(self) -> bool:
        """Whether the best trial is one without mollification."""
        return self.schedule.family == "vanilla"

    @property
    def sentence(self) -> str:
        """The result in one honest sentence."""
        caveat = "one seed, not yet confirmed"
        if self.confirmation_runs:
            caveat = f"one seed; the confirmation decides (runs so far: {self.confirmation_runs})"
        if self.is_vanilla:
            return (
                f"On {self.model}, no schedule beat vanilla training, which reached FID "
                f"{self.fid:.4g}: {caveat}."
            )
        versus = "with no vanilla run to compare with"
        if self.vanilla_fid is not None:
            versus = f"against {self.vanilla_fid:.4g} for vanilla"
        return f"On {self.model}, {self.text} reached FID {self.fid:.4g} {versus}: {caveat}."


def best(results: Results, model: str | None = None) -> Best:
    """Find the schedule with the lowest comparable FID.

    It is the best of one run each: seeds move FID as much as schedules do, so treat it as a
    candidate until it is confirmed on fresh seeds. Vanilla training itself may be the best.

    Args:
        results: Results of a search.
        model: The model; by default the one with the lowest FID.

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
    winner = rows.sort_values(["fid", "trial"]).iloc[0].to_dict()
    rows = rows[rows["model"] == winner["model"]]
    _check_alike(results, rows)
    reports = results.reports
    confirmed = reports["comparable"] & (reports["stage"] == "confirm")
    runs = int((confirmed & (reports["model"] == winner["model"])).sum())
    return _make_best(winner, rows, runs)


def export_best(
    results: Results,
    path: str | os.PathLike[str],
    model: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the best schedule to a file that ``mollitune.schedules.load`` reads.

    The file also tells where the schedule comes from: search, trial, model, FID and versions.

    Args:
        results: Results of a search.
        path: The file to write.
        model: As for `best`.
        overwrite: Whether a file that exists may be replaced.

    Returns:
        The path.

    Raises:
        MollituneError: As for `best`, or if the file exists or cannot be written.
    """
    target = Path(path)
    found = best(results, model)
    if target.exists() and not overwrite:
        raise MollituneError(
            f"{target} exists already; choose another path, or replace it with --force"
        )
    try:
        found.schedule.save(target, provenance=_provenance(results, found))
    except OSError as error:
        raise MollituneError(f"cannot write {target}: {first_line(error)}") from error
    return target


def _check_alike(results: Results, rows: pd.DataFrame) -> None:
    for column in COMPARABLE_WITHIN:
        values = sorted(rows[column].unique())
        if len(values) > 1:
            shown = ", ".join(map(str, values))
            raise MollituneError(
                f"the FIDs of {rows['model'].iloc[0]!r} in {results.name!r} cannot be ranked: "
                f"they differ in {column} ({shown}); see the leaderboard, which keeps them apart"
            )


def _make_best(winner: dict[Hashable, Any], rows: pd.DataFrame, confirmation_runs: int) -> Best:
    try:
        schedule = schedule_of(winner)
    except ValueError as error:
        raise MollituneError(
            f"the schedule of trial {winner['trial']} cannot be built: {first_line(error)}; "
            "import the module that registers its family first"
        ) from error
    vanilla = rows.loc[rows["family"] == "vanilla", "fid"]
    return Best(
        search=winner["search"],
        trial=int(winner["trial"]),
        model=winner["model"],
        dataset=winner["dataset"],
        schedule=schedule,
        text=schedule_text(winner),
        fid=float(winner["fid"]),
        vanilla_fid=None if vanilla.empty else float(vanilla.mean()),
        seed=int(winner["seed"]),
        steps=int(winner["step"]),
        extractor=winner["extractor"],
        fid_samples=int(winner["fid_samples"]),
        confirmation_runs=confirmation_runs,
    )


def _provenance(results: Results, found: Best) -> dict[str, Any]:
    return {
        "search": found.search,
        "trial": found.trial,
        "model": found.model,
        "dataset": found.dataset,
        "fid": found.fid,
        "vanilla_fid": found.vanilla_fid,
        "extractor": found.extractor,
        "fid_samples": found.fid_samples,
        "seed": found.seed,
        "steps": found.steps,
        "note": _NOTE,
        "versions": results.metadata.get("versions", {}),
    }
