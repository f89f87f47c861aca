"""What a searcher proposes and learns, told of events as from a record."""

import json
import math
from typing import Any

import pytest

from mollitune.schedules import Linear
from mollitune.search.config import SearchConfig
from mollitune.search.launch.proposals import proposer
from mollitune.search.policy.proposer import Proposal
from mollitune.search.store.journal import END, START, JournalError
from mollitune.search.store.objective import FID, constraint_of, objective_of
from mollitune.search.tune.runs import OpenRun, end_of, run_of, start_of
from mollitune.search.tune.searcher import ScheduleSearcher

LAST = {"progress": 1.0, "phase": "clean", "step": 90, "fid": 5.0}
RACE = {"policy": "race", "reduction_factor": 3, "max_seeds": 3}


def searcher(trials: int = 30) -> ScheduleSearcher:
    values = {"name": "run", "model": ["vae"], "families": ["linear"], "sampler": "random"}
    config = SearchConfig.model_validate({**values, "trials": trials, "stopping": RACE})
    return ScheduleSearcher(proposer(config, 8), trials)


def event(kind: str, trial: int, **values: Any) -> dict[str, Any]:
    """An event as it is read back from a record."""
    found: dict[str, Any] = json.loads(json.dumps({"event": kind, "trial": trial, **values}))
    return found


def start(own: ScheduleSearcher) -> Proposal:
    proposal = own.propose()
    assert proposal is not None
    started = event(START, proposal.run.trial, **start_of(proposal))
    decisions = own.apply(started, OpenRun(started["config"]))
    assert list(decisions) == [d for d in [proposal.decision] if d is not None]
    return proposal


def end(own: ScheduleSearcher, trial: int, last: dict[str, Any], *, failed: bool = False) -> None:
    own.apply(event(END, trial, **end_of(last, failed=failed)), OpenRun({}))


ENDS: dict[str, tuple[dict[str, Any], bool, str, float | None]] = {
    "completed": (LAST, False, "completed", 5.0),
    "stopped on clean data": ({**LAST, "progress": 0.7}, False, "stopped", 5.0),
    "stopped while mollified": (
        {**LAST, "progress": 0.3, "phase": "mollified"},
        False,
        "stopped",
        None,
    ),
    "NaN on the way": ({**LAST, "progress": 0.7, "fid": math.nan}, False, "stopped", None),
    "mollified to the end": ({**LAST, "phase": "mollified"}, False, "completed", None),
    "infinite at the end": ({**LAST, "fid": math.inf}, False, "failed", None),
    "diverged": ({"failure": "loss", "step": 9}, False, "failed", None),
    "diverged at last": ({**LAST, "failure": "loss"}, False, "failed", 5.0),
    "error after a result": ({**LAST, "progress": 0.7}, True, "failed", 5.0),
    "error at once": ({}, True, "failed", None),
}


@pytest.mark.parametrize("case", ENDS)
def test_how_a_run_ended(case: str) -> None:
    last, failed, outcome, value = ENDS[case]
    found = end_of(last, failed=failed)
    assert found == {"outcome": outcome, "value": value, "step": last.get("step", 0)}


def test_the_record_has_what_is_optimised_and_what_is_bounded() -> None:
    bits = objective_of("bpd")
    bound = constraint_of(FID, "<= vanilla + 1")
    last = {**LAST, "bpd": 3.25}
    ended = {"outcome": "completed", "value": 3.25, "step": LAST["step"]}
    assert end_of(last, bits) == ended
    assert end_of(last, bits, bound) == {**ended, "second": LAST["fid"]}
    lost = end_of({**last, "bpd": math.nan}, bits)
    assert (lost["outcome"], lost["value"]) == ("failed", None)


@pytest.mark.parametrize("case", sorted(ENDS.keys() - {"completed"}))
def test_what_has_no_final_value_is_not_promoted(case: str) -> None:
    last, failed, _, _ = ENDS[case]
    own = searcher()
    for _ in range(3):
        start(own)
    end(own, 0, {**LAST, "fid": 9.0})
    end(own, 1, {**LAST, "fid": 8.0})
    end(own, 2, {**last, **({"fid": 0.1} if last.get("fid") == 5.0 else {})}, failed=failed)
    promoted = start(own)
    assert (promoted.run.configuration, promoted.run.repeat) == (1, 1)
    assert promoted.decision is not None
    assert (promoted.decision.value, promoted.decision.competitors) == (8.0, 3)


def test_it_ends_with_the_last_trial() -> None:
    own = searcher(trials=4)
    for left in (3, 2, 1, 0):
        end(own, start(own).run.trial, LAST)
        assert own.left == left
    assert own.propose() is None


def test_of_runs_that_are_shorter_than_the_search_s_there_are_more() -> None:
    own = ScheduleSearcher(searcher()._proposer, 3.0, shortest=0.25)
    assert own.left == 12  # at most: Ray must not end before them
    start(own)
    assert own.left == 8


def test_what_the_record_starts_counts_whatever_would_be_proposed_now() -> None:
    own = searcher()
    proposal = own.propose()
    assert proposal is not None
    config = {**start_of(proposal)["config"], "schedule": Linear(until=0.1234).to_dict()}
    own.apply(event(START, 0, config=config), OpenRun(config))
    end(own, 0, LAST)
    assert start(own).run.trial == 1
    assert run_of(config) == proposal.run.__class__(0, 0, "vae")


@pytest.mark.parametrize(
    "change", [{"trial": 7}, {"schedule": {"family": "none"}}, {"model": "glow"}, {"seed": None}]
)
def test_a_record_of_something_else_is_refused(change: dict[str, Any]) -> None:
    own = searcher()
    proposal = own.propose()
    assert proposal is not None
    config = {**start_of(proposal)["config"], **change}
    if change == {"seed": None}:
        del config["seed"]
    with pytest.raises(JournalError, match=r"this search would not .* restore it from a backup"):
        own.apply(event(START, 0, config=config), OpenRun(config))
