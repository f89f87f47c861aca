import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.search.bench import (
    FID_SAMPLES,
    MOLLIFY,
    Bench,
    numbers,
    weights,
    write_faulty,
)

from mollitune.models._actnorm import ActNorm
from mollitune.schedules import Linear, Vanilla
from mollitune.search.data.images import Splits
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.trial import TrainingDivergedError, TrialSpec


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's own model that fails when it is told to."""
    monkeypatch.syspath_prepend(tmp_path)
    return write_faulty(tmp_path)


@pytest.fixture
def bench(digits: Splits, reference: Reference) -> Bench:
    return Bench(digits, reference)


@pytest.mark.parametrize(
    ("steps", "every", "marks"),
    [
        (90, 1 / 3, [30, 60, 90]),
        (1000, 1 / 6, [167, 333, 500, 667, 833, 1000]),
        (1500, 0.1667, [250, 500, 750, 1000, 1250, 1500]),
        (10, 0.4, [4, 8, 10]),  # the share does not divide the training
        (7, 1.0, [7]),
        (2, 0.1, [1, 2]),  # never twice, never before the first step
    ],
)
def test_evaluations_end_with_the_training(steps: int, every: float, marks: list[int]) -> None:
    assert TrialSpec("vae", MOLLIFY, 0, steps, every).evaluation_steps() == marks


@pytest.mark.parametrize("model", ["vae", "realnvp"])
def test_one_seed_gives_one_set_of_numbers(bench: Bench, model: str) -> None:
    def run(seed: int) -> list[dict[str, Any]]:
        return [numbers(e) for e in bench.trial(model, seed=seed, every=0.5).run()]

    first = run(seed=3)
    assert [row["step"] for row in first] == [20, 40]
    assert run(seed=3) == first
    other = run(seed=4)
    assert all(one["fid"] != two["fid"] for one, two in zip(first, other, strict=True))


def test_level_and_phase_follow_the_schedule(bench: Bench) -> None:
    rows = list(bench.trial(schedule=MOLLIFY).run())
    assert [row.progress for row in rows] == [0.25, 0.5, 0.75, 1.0]
    assert [row.phase for row in rows] == ["mollified", "mollified", "clean", "clean"]
    assert [row.level for row in rows] == [MOLLIFY.level(row.progress) for row in rows]
    assert rows[0].level > rows[1].level > rows[2].level == 0
    assert all(row.samples.shape == (64, 1, 8, 8) for row in rows)
    assert all(row.samples.dtype == np.uint8 for row in rows)
    assert all(row.non_finite_losses == row.non_finite_samples == 0 for row in rows)
    assert {row.phase for row in bench.trial(schedule=Vanilla()).run()} == {"clean"}


@pytest.mark.parametrize("model", ["vae", "realnvp"])
def test_training_learns(bench: Bench, model: str) -> None:
    first, *_, last = bench.trial(model, Vanilla(), steps=200).run()
    assert last.train_loss < first.train_loss
    assert last.bpd < first.bpd
    assert last.fid < first.fid


def test_arms_share_weights_batches_and_dequantisation(bench: Bench) -> None:
    vanilla, mollified = bench.trial(schedule=Vanilla()), bench.trial(schedule=MOLLIFY)
    assert weights(vanilla) == weights(mollified)
    assert weights(vanilla) != weights(bench.trial(seed=4))
    list(vanilla.run())
    list(mollified.run())
    one, two = vanilla.state_dict(), mollified.state_dict()
    assert torch.equal(one["batches"]["order"], two["batches"]["order"])
    assert one["batches"]["position"] == two["batches"]["position"]
    assert torch.equal(one["batches"]["generator"], two["batches"]["generator"])
    assert torch.equal(one["dequantise"], two["dequantise"])
    assert torch.equal(one["rng"][0], two["rng"][0])
    assert not torch.equal(one["mollify"], two["mollify"])  # only this one was drawn from
    assert weights(vanilla) != weights(mollified)


def test_a_mollified_run_differs_by_its_noise_alone(bench: Bench) -> None:
    # a noise of standard deviation 1e-6 in the first step, after which the runs are the same
    runs = [bench.trial(schedule=s) for s in (Vanilla(), Linear(until=0.02, peak=1e-12))]
    states = []
    for trial in runs:
        list(trial.run())
        states.append(trial.state_dict()["model"])
    for name in states[0]:
        torch.testing.assert_close(states[1][name], states[0][name], rtol=1e-3, atol=1e-3)


def test_evaluations_do_not_disturb_the_training(bench: Bench) -> None:
    rare, often = bench.trial(every=1.0), bench.trial(every=0.1)
    (last,) = rare.run()
    *_, same = often.run()
    assert weights(rare) == weights(often)
    assert (last.fid, last.bpd) == (same.fid, same.bpd)
    again = rare.evaluate(last.train_loss, 0.0)
    assert numbers(again) == numbers(last)


@pytest.mark.parametrize("model", ["vae", "realnvp"])
@pytest.mark.parametrize("stopped_at", [1, 3])
def test_a_resumed_trial_goes_on_to_the_same_numbers(
    bench: Bench, tmp_path: Path, model: str, stopped_at: int
) -> None:
    whole = [numbers(e) for e in bench.trial(model).run()]
    first = bench.trial(model)
    evaluations = first.run()
    before = [numbers(next(evaluations)) for _ in range(stopped_at)]
    torch.save(first.state_dict(), tmp_path / "trial.pt")
    resumed = bench.trial(model)
    resumed.load_state_dict(torch.load(tmp_path / "trial.pt", weights_only=True))
    after = [numbers(e) for e in resumed.run()]
    assert before + after == whole
    assert len(after) == 4 - stopped_at
    assert MOLLIFY.mollified(0.25)  # stopped at 1: in the middle of the mollified phase


class StopError(Exception):
    """Raised where a trial is to be cut off."""


@pytest.mark.parametrize(
    ("calls", "step", "evaluated"),
    [
        (5, 4, 0),
        (11, 10, 0),  # before the samples of the first evaluation are drawn
        (15, 10, 0),  # in the middle of its bits per dim
        (24, 10, 10),  # before the first step after it
        (30, 16, 10),
    ],
)
def test_a_trial_is_cut_off_anywhere_and_goes_on_to_the_same_numbers(
    bench: Bench, calls: int, step: int, evaluated: int
) -> None:
    left, saved = calls, dict[str, Any]()

    def alive() -> None:
        nonlocal left
        left -= 1
        if not left:
            saved.update(copy.deepcopy(first.state_dict()))
            raise StopError

    first = bench.trial(ema=0.1, alive=alive)
    with pytest.raises(StopError):
        list(first.run())
    assert (saved["step"], saved["evaluated"], len(saved["losses"])) == (
        *(step, evaluated),
        step - evaluated,
    )
    resumed = bench.trial(ema=0.1)
    resumed.load_state_dict(saved)
    whole = [numbers(e) for e in bench.trial(ema=0.1).run()]
    assert [numbers(e) for e in resumed.run()] == whole[evaluated // 10 :]


def test_judging_by_other_images_disturbs_nothing(
    bench: Bench, digits: Splits, lenet: Extractor
) -> None:
    whole, judged = bench.trial(), bench.trial()
    evaluations = judged.run()
    next(evaluations)
    unseen = Reference.measure(lenet, digits.test, "test")
    one, two = judged.judge(digits.test, unseen), judged.judge(digits.test, unseen)
    assert (one[0].fid, one[1]) == (two[0].fid, two[1])
    assert [numbers(e) for e in evaluations] == [numbers(e) for e in whole.run()][1:]
    assert one[1] == pytest.approx(8, abs=1)  # about the bits of a byte, after ten steps


def test_averaged_weights_are_evaluated_but_not_trained(bench: Bench, tmp_path: Path) -> None:
    plain, averaged = bench.trial(), bench.trial(ema=0.1)
    plain_rows, rows = list(plain.run()), list(averaged.run())
    assert weights(plain) == weights(averaged)
    assert [row.train_loss for row in rows] == [row.train_loss for row in plain_rows]
    assert all(row.fid != other.fid for row, other in zip(rows, plain_rows, strict=True))
    first = bench.trial(ema=0.1)
    evaluations = first.run()
    next(evaluations)
    torch.save(first.state_dict(), tmp_path / "trial.pt")
    resumed = bench.trial(ema=0.1)
    resumed.load_state_dict(torch.load(tmp_path / "trial.pt", weights_only=True))
    assert [numbers(row) for row in resumed.run()] == [numbers(row) for row in rows[1:]]


def test_torchs_global_generator_is_left_alone(bench: Bench) -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    evaluations = bench.trial().run()
    next(evaluations)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(12)  # nor does the training see it
    elsewhere = numbers(next(evaluations))
    assert elsewhere == numbers(list(bench.trial().run())[1])


def test_non_finite_losses_are_skipped_and_counted(bench: Bench, faulty: str) -> None:
    trial = bench.trial(faulty, hparams={"first": 5, "count": 10})
    rows = list(trial.run())
    assert [row.non_finite_losses for row in rows] == [5, 10, 10, 10]
    assert all(row.non_finite_samples == 0 for row in rows)
    assert all(np.isfinite([row.train_loss, row.fid, row.bpd]).all() for row in rows)
    other = bench.trial(faulty)
    other.load_state_dict(trial.state_dict())
    assert (other.lost_steps, other.lost_samples) == (10, 0)


def test_an_interval_without_a_finite_loss_has_a_nan_loss(bench: Bench, faulty: str) -> None:
    first, *_ = bench.trial(faulty, hparams={"count": 10}).run()
    assert np.isnan(first.train_loss)


def test_one_non_finite_loss_too_many_ends_the_trial(bench: Bench, faulty: str) -> None:
    trial = bench.trial(faulty, hparams={"first": 5, "count": 11})
    with pytest.raises(TrainingDivergedError, match=r"11 steps .* up to step 15 of 40; lower"):
        list(trial.run())


def test_long_trainings_may_lose_one_percent(bench: Bench, faulty: str) -> None:
    kept = bench.trial(faulty, steps=1500, every=1.0, hparams={"count": 15}, batch_size=1)
    (last,) = kept.run()
    assert last.non_finite_losses == 15
    lost = bench.trial(faulty, steps=1500, every=1.0, hparams={"count": 16}, batch_size=1)
    with pytest.raises(TrainingDivergedError, match="16 steps without"):
        list(lost.run())


def test_a_real_model_diverges_at_a_senseless_learning_rate(bench: Bench) -> None:
    with pytest.raises(TrainingDivergedError, match="steps without a finite loss and gradient"):
        list(bench.trial("vae", lr=1e30, steps=60).run())


def test_a_few_non_finite_samples_are_counted(bench: Bench, faulty: str) -> None:
    trial = bench.trial(faulty, hparams={"bad_samples": 2})
    first, second, *_ = trial.run()
    assert np.isfinite([first.fid, first.bpd]).all()
    assert (first.non_finite_samples, second.non_finite_samples) == (2, 4)
    assert first.non_finite_losses == 0
    assert first.failure is None
    assert (trial.lost_steps, trial.lost_samples) == (0, 8)


def test_too_many_non_finite_samples_end_the_trial(bench: Bench, faulty: str) -> None:
    limit = int(0.05 * FID_SAMPLES)
    kept = list(bench.trial(faulty, hparams={"bad_samples": limit}).run())
    assert [row.failure for row in kept] == [None] * len(kept)
    (row,) = bench.trial(faulty, hparams={"bad_samples": limit + 1}).run()
    assert row.failure is not None
    assert row.failure.startswith(
        f"{limit + 1} of {FID_SAMPLES} samples at step {row.step} of 40 are not finite; lower"
    )


def test_a_step_whose_gradient_is_not_finite_is_skipped(bench: Bench, faulty: str) -> None:
    trial = bench.trial(faulty, hparams={"first": 5, "count": 3, "gradient_only": True})
    rows = list(trial.run())
    assert rows[-1].non_finite_losses == 3
    assert all(np.isfinite([row.train_loss, row.fid, row.bpd]).all() for row in rows)


@pytest.mark.parametrize("clip_norm", [0.5, None])
def test_long_gradients_are_cut(bench: Bench, faulty: str, clip_norm: float | None) -> None:
    trial = bench.trial(faulty, hparams={"steepness": 100.0}, clip_norm=clip_norm)
    next(iter(trial.run()))
    norm = torch.nn.utils.get_total_norm(
        [p.grad for p in trial.model.parameters() if p.grad is not None]
    )
    assert norm.item() == pytest.approx(0.5, rel=1e-3) if clip_norm else norm > 10


@pytest.mark.parametrize("init", ["clean", "mollified"])
def test_actnorm_is_fitted_to_the_data_it_names(bench: Bench, init: str) -> None:
    """At step 0 the mollified data are pure noise, whose scale is 1 already."""
    hparams = {"levels": 1, "steps": 1, "hidden": 4, "actnorm_init": init}
    trials = [bench.trial("glow", schedule, hparams=hparams) for schedule in (Vanilla(), Linear())]
    layers = [next(m for m in t.model.modules() if isinstance(m, ActNorm)) for t in trials]
    assert all(layer.log_scale.abs().max() > 0 for layer in layers)
    same = torch.equal(layers[0].log_scale, layers[1].log_scale)
    assert same == (init == "clean")
    if init == "mollified":
        assert layers[1].log_scale.abs().max() < 0.2


def test_a_preset_is_used(bench: Bench) -> None:
    quick, paper = (bench.trial("maf", preset=preset).model for preset in ("quick", "paper"))
    sizes = [sum(p.numel() for p in model.parameters()) for model in (quick, paper)]
    assert sizes[1] > 2 * sizes[0]


def test_an_illegal_model_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match=r"hiden.*hidden"):
        bench.trial("vae", hparams={"hiden": 3})
    with pytest.raises(ValueError, match="glowe"):
        bench.trial("glowe")
