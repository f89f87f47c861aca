"""Recorded curves out of the tables of a search."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from mollitune._errors import MollituneError
from mollitune.analysis.tables import (
    Results,
    Wanted,
    configuration_of,
    earlier_runs,
    hyperspace_of,
    minimised,
    training_of,
)
from mollitune.search.policy.comparability import age_of
from mollitune.search.policy.earlier import Earlier
from mollitune.search.store.comparable import COMPARABLE_WITHIN

from .replay import Point, Recording

LEAST = 8

Row = Mapping[Hashable, Any]


def record(results: Results, model: str) -> Recording:
    """Collect the complete runs of one model, curve by curve.

    Runs that were stopped early cannot be replayed and are left out. What judges a policy are the
    runs of the confirmation, i.e. of seeds that no policy has seen; if fewer than 8 configurations
    have one, the mean over the recorded runs themselves, which flatters every policy alike.

    Args:
        results: Results of a search, best one with ``stopping.policy=none`` and several seeds.
        model: Name of the model.

    Raises:
        MollituneError: If fewer than 8 configurations have a complete run, their runs were
            evaluated at different steps, or the FIDs were not all measured alike.
    """
    rows = minimised(results.reports[results.reports["model"] == model], results.objective)
    complete = rows[rows["comparable"] & rows["fid"].notna()]
    _check_alike(results.name, complete)
    config = results.metadata.get("config") or {}
    tail = _tail(config)
    runs: defaultdict[int, list[tuple[Point, ...]]] = defaultdict(list)
    judges: defaultdict[int, list[float]] = defaultdict(list)
    first: dict[int, Row] = {}
    kept = rows[rows["trial"].isin(complete["trial"])].sort_values(["trial", "step"])
    for _, run in kept.groupby("trial"):
        last = run.iloc[-1].to_dict()
        number = int(last["configuration"])
        first.setdefault(number, last)
        if last["stage"] == "confirm":
            judges[number].append(float(last["fid"]))
            continue
        # what the value is the mean of is no rung, and of short trainings not equally old in all
        early = run[run["step"] < round(tail * last["step"])].to_dict("records")
        runs[number].append(tuple(_point(row) for row in (*early, last)))
    space = hyperspace_of(results, model)
    confirmed = sorted(n for n in runs if n in judges)
    held_out = len(confirmed) >= LEAST
    numbers = confirmed if held_out else sorted(runs)
    _check_curves(results.name, model, [runs[n] for n in numbers])
    return Recording(
        model=model,
        configurations=tuple(configuration_of(first[n], space) for n in numbers),
        curves=tuple(tuple(runs[n]) for n in numbers),
        # never some by fresh seeds and some by their own: that would favour the latter
        truth=tuple(tuple(judges[n] if held_out else _finals(runs[n])) for n in numbers),
        held_out=held_out,
        hyperspace=space,
        vanilla_share=config.get("vanilla_share", Recording.vanilla_share),
        metric=results.objective.title,
    )


def prior_of(
    searches: Sequence[Results], results: Results, recording: Recording
) -> tuple[Earlier, ...]:
    """Return what earlier searches would have told the one that was recorded.

    Args:
        searches: The earlier searches.
        results: What was recorded.
        recording: The curves of one model in it.

    Raises:
        MollituneError: If one of the searches has nothing to tell.
    """
    own = results.reports[results.reports["model"] == recording.model]
    training = training_of(results.metadata.get("config"), recording.model)
    space, images = recording.hyperspace, float(own["budget"].max())
    wanted = Wanted(recording.model, training, space, images, objective=results.objective)
    return earlier_runs(searches, wanted)


def _finals(runs: list[tuple[Point, ...]]) -> list[float]:
    return [run[-1].fid for run in runs]


def _point(row: Row) -> Point:
    probe = row["probe_fid"]
    known = probe is not None and not math.isnan(probe)
    return Point(
        step=int(row["step"]),
        progress=float(row["progress"]),
        phase=str(row["phase"]),
        fid=float("nan") if row["fid"] is None else float(row["fid"]),
        probe_fid=float(probe) if known else None,
        probe_steps=int(row["probe_steps"]),
    )


def _tail(config: Mapping[str, Any]) -> float:
    """Share of a training that is done at the first evaluation of those that make its value."""
    final = (config.get("fid") or {}).get("final") or {}
    return 1 - float(final.get("share", 0)) if final.get("marks", 1) > 1 else 1.0


def _check_alike(name: str, rows: pd.DataFrame) -> None:
    for column in COMPARABLE_WITHIN:
        if rows[column].nunique() > 1:
            raise MollituneError(
                f"the runs of {name!r} cannot be replayed: their FIDs differ in {column}"
            )


def _check_curves(name: str, model: str, runs: list[list[tuple[Point, ...]]]) -> None:
    if len(runs) < LEAST:
        raise MollituneError(
            f"{name!r} has {len(runs)} configurations of {model} that were trained to the end; a "
            f"replay needs {LEAST}: search with stopping.policy=none"
        )
    ages = {tuple(age_of(point.progress) for point in run) for entry in runs for run in entry}
    if len(ages) > 1:
        raise MollituneError(f"the runs of {model} in {name!r} were evaluated at different steps")
