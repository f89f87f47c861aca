"""A run on its way through the search: as a trial's config, while it is open, and at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.proposer import Proposal
from mollitune.search.policy.stopping import Run
from mollitune.search.store.objective import FID, Constraint, Objective


@dataclass
class OpenRun:
    """What the record says of a run that has not ended.

    Arguments:
        config: The run as the searcher gave it.
        last: Its last result; empty before the first.
        error: Why its process failed for good; None if it did not.
    """

    config: Mapping[str, Any]
    last: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


def start_of(proposal: Proposal) -> dict[str, Any]:
    """Return what the record says of the start of a run: its config, and why it was chosen."""
    decision = proposal.decision
    why = {} if decision is None else {**vars(decision), "time": decision.time.isoformat()}
    return {"config": trial_config(proposal), **({"decision": why} if why else {})}


def proposal_of(event: Mapping[str, Any]) -> Proposal:
    """Return the run whose start the record tells.

    Raises:
        ValueError: If its schedule cannot be built; or a KeyError or TypeError.
    """
    config, why = event["config"], event.get("decision")
    decision = None
    if why is not None:
        decision = Decision(**{**why, "time": datetime.fromisoformat(why["time"])})
    return Proposal(run_of(config), Configuration.from_dict(config), config["seed"], decision)


def trial_config(proposal: Proposal) -> dict[str, Any]:
    """Return a run as the plain config of a trial."""
    run, own = proposal.run, proposal.configuration
    baseline = {"baseline": run.baseline} if own.settings or own.scale != 1 else {}
    return {
        "trial": run.trial,
        "configuration": run.configuration,
        "repeat": run.repeat,
        "seed": proposal.seed,
        "model": run.model,
        **own.to_dict(),
        **baseline,
    }


def run_of(config: Mapping[str, Any]) -> Run:
    """Return what the policy knows a trial by, from the trial's config."""
    return Run(
        trial=config["trial"],
        configuration=config["configuration"],
        model=config["model"],
        repeat=config["repeat"],
        baseline=config.get("baseline", config["schedule"]["family"] == "vanilla"),
    )


def end_of(
    last: Mapping[str, Any],
    objective: Objective = FID,
    constraint: Constraint | None = None,
    *,
    failed: bool = False,
) -> dict[str, Any]:
    """Return what the record says of the end of a run: outcome, value and step.

    Args:
        last: Its last result.
        objective: What the search minimises.
        constraint: What it bounds; then the record has the value of that, too, as ``second``.
        failed: Whether its process failed for good.
    """
    clean = last.get("phase") == "clean" and _finite_fid(last)
    return {
        "outcome": "failed" if failed else outcome_of(last, objective),
        "value": objective.of(last) if clean else None,
        "step": last.get("step", 0),
        **({} if constraint is None else {"second": constraint.metric.of(last)}),
    }


def outcome_of(result: Mapping[str, Any], objective: Objective = FID) -> str:
    """Return ``completed``, ``stopped`` or ``failed`` from the last result of a trial."""
    if result.get("failure") or result.get("fid") is None:
        return "failed"
    if result["progress"] < 1:
        return "stopped"
    known = _finite_fid(result) and objective.of(result) is not None
    return "completed" if known else "failed"


def _finite_fid(result: Mapping[str, Any]) -> bool:
    fid = result.get("fid")
    return fid is not None and math.isfinite(fid)
