import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.search.bench import Bench, numbers, states
from torch import Tensor

from mollitune.models import models
from mollitune.schedules import Blur, Cosine, Linear, Vanilla
from mollitune.search.config import StoppingConfig
from mollitune.search.policy.rungs import Rungs
from mollitune.search.training.spec import cooldown, cooldown_steps
from mollitune.search.training.trial import Final, TrialSpec

HALF = (0.5,)


def test_length_and_path_of_a_branch_by_hand() -> None:
    for step, extra, length in ((1000, 0.3, 300), (10, 0.25, 2), (1, 0.3, 1), (3, 2.0, 6)):
        assert cooldown_steps(step, extra) == length
    path = cooldown(Linear(until=0.9), 0.5, 10)
    assert path == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.9])
    assert cooldown(Linear(until=0.4), 0.5, 3) == [0.5, 0.5, 0.5]  # clean already
    assert cooldown(Vanilla(), 0.5, 3) == [0.5, 0.5, 0.5]


def test_a_branch_falls_to_clean_data() -> None:
    schedules = Linear(until=0.7), Cosine(), Blur(sigma_max=2.0, until=0.9)
    starts, lengths = (0.1, 1 / 3, 0.5, 2 / 3, 0.69999), (*range(1, 12), 29, 97, 300)
    for schedule, progress, steps in itertools.product(schedules, starts, lengths):
        path = cooldown(schedule, progress, steps)
        assert len(path) == steps
        assert all(a <= b for a, b in itertools.pairwise(path))
        clean = max(1, steps // 5)
        mollified = [schedule.mollified(p) for p in path]
        assert mollified == [True] * (steps - clean) + [False] * clean
        assert steps == 1 or path[0] == progress


def test_a_rung_and_its_branch_fall_on_the_same_evaluation() -> None:
    intervals, lengths = (1 / 12, 0.15, 0.1667, 0.3, 1 / 3, 0.5, 1.0), (7, 97, 240, 1000)
    graces = (0.005, 0.02, 0.1, 0.25, 1 / 3, 0.41, 0.5, 2 / 3, 0.995, 1.0)
    cases = itertools.product(intervals, lengths, graces, (1.1, 1.5, 3))
    for every, steps, grace, eta in cases:
        marks = StoppingConfig(policy="probe", grace=grace, reduction_factor=eta).marks
        spec = TrialSpec("vae", Vanilla(), 0, steps, every, probe_at=marks)
        rungs, before, judged = Rungs(marks, eta, least=2), 0.0, set()
        for step in spec.evaluation_steps()[:-1]:  # no rung judges a complete run
            if rungs.passed(before, step / steps) is not None:
                judged.add(step)
            before = step / steps
        assert spec.probe_steps() == judged, (every, steps, grace, eta)


def test_where_branches_begin() -> None:
    cases: dict[tuple[float, ...], set[int]] = {
        (1 / 3, 1 / 2, 2 / 3): {333, 500, 667},  # 333 / 1000 lies a little before 1/3
        (0.4, 0.45): {500},
        (0.9,): set(),  # only the end comes after it, and is no rung
        (): set(),
    }
    for marks, expected in cases.items():
        spec = TrialSpec("vae", Vanilla(), 0, 1000, 1 / 6, probe_at=marks)
        assert spec.probe_steps() == expected


@pytest.mark.parametrize(("model", "ema"), [("vae", None), *((name, 0.1) for name in models())])
def test_a_branch_leaves_no_trace(bench: Bench, model: str, ema: float | None) -> None:
    settings: dict[str, Any] = {"steps": 12, "every": 1 / 3, "batch_size": 16, "ema": ema}
    settings["schedule"] = Linear(until=0.9)
    plain = bench.trial(model, **settings)
    probed = bench.trial(model, **settings, probe_at=(1 / 3, 2 / 3))
    branches = []
    for one, two in zip(plain.run(), probed.run(), strict=True):
        row = numbers(two)
        branches.append((row.pop("probe_steps"), row.pop("probe_fid")))
        assert row == {k: v for k, v in numbers(one).items() if k in row}
        assert states(probed.state_dict()) == states(plain.state_dict())
    assert [steps for steps, _ in branches] == [1, 2, 0]
    assert branches[2][1] is None
    assert all(fid > 0 for _, fid in branches[:2])


@pytest.mark.parametrize("ema", [None, 0.1])
@pytest.mark.parametrize("model", ["vae", "realnvp"])
def test_a_trial_resumed_between_branches_goes_on_to_the_same_numbers(
    bench: Bench, tmp_path: Path, model: str, ema: float | None
) -> None:
    settings: dict[str, Any] = {"ema": ema, "probe_at": (0.25, 0.5, 0.75)}
    settings["final"] = Final(3, 0.8)  # the first before the break
    whole = [numbers(e) for e in bench.trial(model, **settings).run()]
    first = bench.trial(model, **settings)
    evaluations = first.run()
    before = [numbers(next(evaluations)) for _ in range(2)]
    torch.save(first.state_dict(), tmp_path / "trial.pt")
    resumed = bench.trial(model, **settings)
    resumed.load_state_dict(torch.load(tmp_path / "trial.pt", weights_only=True))
    assert before + [numbers(e) for e in resumed.run()] == whole
    assert [row["probe_steps"] for row in whole] == [0, 3, 6, 0, 9, 0]


LOG: list[tuple[float, bool]] = []


@dataclass(frozen=True, kw_only=True)
class LoggedLinear(Linear):
    """`Linear` that notes the progress of each batch, and whether it was left clean."""

    def __call__(
        self, x: Tensor, progress: float, *, generator: torch.Generator | None = None
    ) -> Tensor:
        mollified = super().__call__(x, progress, generator=generator)
        LOG.append((progress, mollified is x))
        return mollified


@pytest.mark.parametrize("until", [0.9, 0.4])
def test_a_branch_trains_on_the_path_and_the_training_goes_on(bench: Bench, until: float) -> None:
    schedule = LoggedLinear(until=until)
    trial = bench.trial(schedule=schedule, every=0.5, probe_at=HALF, probe_extra=0.5)
    LOG.clear()  # of the batch that gave the model its initial values
    list(trial.run())
    branch = cooldown(schedule, 0.5, 10)
    wanted = [k / 40 for k in range(20)] + branch + [k / 40 for k in range(20, 40)]
    assert [progress for progress, _ in LOG] == wanted
    clean = [unchanged for _, unchanged in LOG[20:30]]
    assert clean == ([False] * 8 + [True] * 2 if until == 0.9 else [True] * 10)


def test_vanillas_branch_is_more_of_the_same_training(bench: Bench) -> None:
    # the branch takes the steps from 10 to 20 of the very same training, far behind the warm-up
    probed, plain = (
        list(bench.trial(schedule=Vanilla(), probe_at=marks, probe_extra=1.0).run())
        for marks in ((0.25,), ())
    )
    assert probed[0].probe_steps == 10
    assert probed[0].probe_fid == plain[1].fid


def test_a_branch_shows_the_model_and_not_the_noise(bench: Bench) -> None:
    how: dict[str, Any] = {"steps": 200, "every": 0.5, "batch_size": 64, "hparams": {}}
    row = next(bench.trial("vae", Linear(until=0.9), **how, probe_at=HALF).run())
    assert row.phase == "mollified"
    assert row.probe_fid is not None
    # seeds 0, 1 and 2 at 200 samples: .59, .57 and .53 of it; .70 to .72 without mollification
    assert row.probe_fid < 0.8 * row.fid


# all it may lose, 10 % of the branch; one more; more than the whole trial may lose
@pytest.mark.parametrize(("lost", "finite"), [(2, True), (3, False), (11, False)])
def test_a_branch_that_diverges_is_nan_and_harms_nobody(
    bench: Bench, faulty: str, lost: int, finite: bool
) -> None:
    # steps 21 to 40 that the model sees are the branch
    hparams = {"first": 20, "count": lost}
    rows = list(bench.trial(faulty, hparams=hparams, probe_at=HALF, probe_extra=1.0).run())
    assert [row.probe_steps for row in rows] == [0, 20, 0, 0]
    assert rows[1].probe_fid is not None
    assert math.isfinite(rows[1].probe_fid) == finite
    assert [(row.non_finite_losses, row.failure) for row in rows] == [(0, None)] * 4
    assert np.isfinite([row.fid for row in rows]).all()


def test_a_branch_whose_samples_are_not_finite_is_nan(bench: Bench, faulty: str) -> None:
    few, many = (bench.trial(faulty, hparams={"bad_samples": n}) for n in (4, 5))  # of 80
    assert math.isfinite(few.probe().fid)
    assert math.isnan(many.probe().fid)
    assert (many.lost_samples, many.lost_steps) == (0, 0)
