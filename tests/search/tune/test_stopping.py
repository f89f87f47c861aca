"""Early stopping of recorded results; `policy/test_stopping.py` has the rules themselves."""

import math
from typing import Any

import pytest

from mollitune.schedules import Linear, Schedule, Vanilla
from mollitune.search.config import SearchConfig
from mollitune.search.policy.comparability import Comparability, UnlikeValuesError
from mollitune.search.policy.decision import Decision
from mollitune.search.policy.stopping import Run
from mollitune.search.store.journal import REPORT
from mollitune.search.tune.runs import OpenRun, run_of
from mollitune.search.tune.scheduler import PolicyScheduler
from mollitune.search.tune.session import stopping_of

STOP, CONTINUE = "stop", "continue"
STEPS = 60
LIKE = {
    name: Comparability(name, 0, samples=500, reference="360 images") for name in ("vae", "glow")
}


class Judging:
    """A scheduler with what it has decided."""

    def __init__(self, seed: int = 0, **stopping: Any) -> None:
        stopping = {"policy": "late_cut", "min_competitors": 2, "audit": 0.0, **stopping}
        config = SearchConfig.model_validate(
            {"name": "x", "model": ["vae", "glow"], "seed": seed, "stopping": stopping}
        )
        self.scheduler = PolicyScheduler(stopping_of(config), LIKE)
        self._decisions: list[Decision] = []

    def tell(self, run: OpenRun, result: dict[str, Any]) -> str:
        number = run.config["trial"]
        event = {"event": REPORT, "trial": number, "result": result}
        self._decisions += self.scheduler.apply(event, run)
        return STOP if number in self.scheduler.stopped else CONTINUE

    def take_decisions(self) -> list[Decision]:
        taken, self._decisions = self._decisions, []
        return taken


def scheduler(seed: int = 0, **stopping: Any) -> Judging:
    return Judging(seed, **stopping)


def trial_of(
    trial: int, schedule: Schedule | None = None, model: str = "vae", repeat: int = 0
) -> OpenRun:
    return OpenRun(
        config={
            "trial": trial,
            "configuration": 100 + trial,
            "repeat": repeat,
            "model": model,
            "schedule": (schedule or Linear(until=0.5)).to_dict(),
        }
    )


def report(
    policy: Judging,
    trial: OpenRun,
    step: int,
    fid: float,
    probe_fid: float | None = None,
) -> str:
    """Tell the scheduler of a recorded result."""
    schedule = Schedule.from_dict(trial.config["schedule"])
    phase = "mollified" if schedule.mollified(step / STEPS) else "clean"
    result = {
        "step": step,
        "progress": step / STEPS,
        "fid": fid,
        "probe_fid": probe_fid,
        "phase": phase,
    }
    return policy.tell(trial, result)


def test_decisions_reach_ray_and_the_recorder() -> None:
    policy = scheduler()
    assert report(policy, trial_of(0), 30, fid=80) == CONTINUE  # no rung here
    assert report(policy, trial_of(0), 40, fid=10) == CONTINUE
    assert report(policy, trial_of(1), 40, fid=20) == STOP
    assert report(policy, trial_of(2, Linear(until=0.9)), 40, fid=500) == CONTINUE
    assert report(policy, trial_of(3, Vanilla()), 40, fid=500) == CONTINUE
    assert report(policy, trial_of(4, repeat=1), 40, fid=500) == CONTINUE
    assert report(policy, trial_of(5), 40, fid=math.nan) == STOP
    kept, stopped, *others = policy.take_decisions()
    assert (kept.trial, kept.action, kept.competitors, kept.cutoff) == (0, "continue", 1, None)
    assert (stopped.trial, stopped.configuration, stopped.value) == (1, 101, 20)
    assert (stopped.action, stopped.competitors) == ("stop", 2)
    assert stopped.cutoff == pytest.approx(10 + 10 / 3)
    assert (stopped.step, stopped.rung, stopped.phase) == (40, 0, "clean")
    assert stopped.progress == pytest.approx(2 / 3)
    assert [d.action for d in others] == ["skip", "continue", "stop"]  # the repeat is not judged
    assert policy.take_decisions() == []


def test_an_audited_run_goes_on() -> None:
    policy = scheduler(audit=1.0)
    report(policy, trial_of(0), 40, fid=10)
    assert report(policy, trial_of(1), 40, fid=20) == CONTINUE
    assert policy.take_decisions()[1].action == "audit"


def test_a_failed_trial_is_not_judged() -> None:
    policy = scheduler()
    failed = {"failure": "diverged", "done": True, "step": 40, "progress": 2 / 3}
    assert policy.tell(trial_of(1), failed) == CONTINUE
    assert policy.take_decisions() == []


@pytest.mark.parametrize(
    ("stopping", "rungs"),
    [
        ({"policy": "none"}, []),
        ({"policy": "late_cut", "grace": 0.25, "reduction_factor": 2}, [20]),
        ({"policy": "asha", "grace": 0.25, "reduction_factor": 2}, [20, 30]),
        ({"policy": "asha", "grace": 1.0}, []),
        ({"policy": "race", "within": "none"}, []),
        ({"policy": "race", "within": "late_cut"}, [40]),
        ({"policy": "race", "within": "asha", "grace": 0.2, "reduction_factor": 3}, [20, 40]),
    ],
)
def test_each_policy_has_its_rungs(stopping: dict[str, Any], rungs: list[int]) -> None:
    policy = scheduler(**stopping)
    for step in range(10, STEPS + 1, 10):
        report(policy, trial_of(0, Linear(until=0.1)), step, fid=5)
    assert [d.step for d in policy.take_decisions()] == rungs


def test_values_that_do_not_compare_are_refused() -> None:
    """What is alike in a search is given once per model, so only a bug could bring it here."""
    policy = scheduler()
    report(policy, trial_of(0), 40, fid=1)
    policy.scheduler._like["vae"] = Comparability("vae", 0, samples=100, reference="360 images")
    with pytest.raises(UnlikeValuesError, match="samples 500 and 100 cannot be ranked"):
        report(policy, trial_of(1), 40, fid=2)


def test_a_run_is_known_by_its_config() -> None:
    assert run_of(trial_of(3, repeat=2).config) == Run(3, 103, "vae", 2, baseline=False)
    assert run_of(trial_of(4, Vanilla(), "glow").config) == Run(4, 104, "glow", 0, baseline=True)
