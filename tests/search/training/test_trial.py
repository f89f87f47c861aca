import copy
from typing import Any

import numpy as np
import pytest
import torch
from tests.search.bench import FID_SAMPLES, MOLLIFY, Bench, numbers, states, weights

from mollitune.models._actnorm import ActNorm
from mollitune.schedules import Linear, Vanilla
from mollitune.search.data.images import Splits
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.metrics.extras.prior import Prior
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.trial import Final, TrainingDivergedError, TrialSpec


def test_evaluations_end_with_the_training() -> None:
    cases = {
        (1000, 1 / 6): [167, 333, 500, 667, 833, 1000],
        (1500, 0.1667): [250, 500, 750, 1000, 1250, 1500],
        (10, 0.4): [4, 8, 10],  # the share does not divide the training
        (7, 1.0): [7],
        (2, 0.1): [1, 2],  # never twice, never before the first step
    }
    for (steps, every), marks in cases.items():
        assert TrialSpec("vae", MOLLIFY, 0, steps, every).evaluation_steps() == marks


def test_the_value_is_the_mean_of_the_last_evaluations_on_clean_data(bench: Bench) -> None:
    final = Final(marks=3, share=0.2)
    assert TrialSpec("vae", MOLLIFY, 0, 100, 0.5, final=final).evaluation_steps() == [
        *(50, 80, 90, 100),
    ]
    whole = list(bench.trial(final=final).run())
    single = list(bench.trial(every=0.1).run())  # the training does not see its evaluations
    assert [row.step for row in whole] == [10, 20, 30, 32, 36, 40]
    assert [row.step_fid for row in whole[3:]] == [whole[3].fid, whole[4].fid, single[-1].fid]
    for name in ("fid", "bpd"):
        alone = [*(getattr(row, name) for row in whole[3:5]), getattr(single[-1], name)]
        assert getattr(whole[-1], name) == pytest.approx(sum(alone) / 3)
    assert np.array_equal(whole[-1].samples, single[-1].samples)
    late = list(bench.trial(schedule=Linear(until=0.85), final=final).run())
    assert late[-1].fid == pytest.approx((late[-2].fid + late[-1].step_fid) / 2)


def test_what_is_measured_once_is_measured_at_the_end(bench: Bench) -> None:
    """The prior of the model, and the gap between training and held-out images."""
    plain = list(bench.trial().run())
    rows = list(bench.trial(extras=("prior",), final=Final(marks=2, share=0.2)).run())
    assert [row.train_bpd is None for row in rows] == [True] * (len(rows) - 1) + [False]
    assert [bool(row.extras) for row in rows] == [row.train_bpd is not None for row in rows]
    assert set(rows[-1].extras) == {column.name for column in Prior.columns}
    assert rows[-1].step_fid == plain[-1].fid  # it is looked at after the samples
    assert rows[-1].train_bpd == plain[-1].train_bpd
    # nothing is learnt by heart yet
    assert rows[-1].train_bpd == pytest.approx(rows[-1].bpd, rel=0.05)


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
    one, two = states(vanilla.state_dict()), states(mollified.state_dict())
    assert all(one[name] == two[name] for name in ("batches", "dequantise", "rng"))
    assert all(one[name] != two[name] for name in ("mollify", "model"))


def test_a_mollified_run_differs_by_its_noise_alone(bench: Bench) -> None:
    # a noise of standard deviation 1e-6 in the first step, after which the runs are the same
    one, two = (bench.trial(schedule=s) for s in (Vanilla(), Linear(until=0.02, peak=1e-12)))
    for trial in (one, two):
        list(trial.run())
    states = [trial.state_dict()["model"] for trial in (one, two)]
    torch.testing.assert_close(*states, rtol=1e-3, atol=1e-3)


def test_evaluations_do_not_disturb_the_training(bench: Bench) -> None:
    rare, often = bench.trial(every=1.0), bench.trial(every=0.1)
    (last,) = rare.run()
    *_, same = often.run()
    assert weights(rare) == weights(often)
    assert (last.fid, last.bpd) == (same.fid, same.bpd)
    again = rare.evaluate(last.train_loss, 0.0, last=True)
    assert numbers(again) == numbers(last)


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


def test_a_trial_may_be_saved_after_any_step(bench: Bench) -> None:
    saved = list[dict[str, Any]]()
    first = bench.trial()
    first.train(lambda: saved.append(copy.deepcopy(first.state_dict())))
    assert [state["step"] for state in saved] == list(range(1, 11))
    whole = [numbers(e) for e in bench.trial().run()]
    for state in (saved[0], saved[6], saved[-1]):
        resumed = bench.trial()
        resumed.load_state_dict(state)
        assert [numbers(e) for e in resumed.run()] == whole


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


def test_averaged_weights_are_evaluated_but_not_trained(bench: Bench) -> None:
    plain, averaged = bench.trial(), bench.trial(ema=0.1)
    plain_rows, rows = list(plain.run()), list(averaged.run())
    assert weights(plain) == weights(averaged)
    assert [row.train_loss for row in rows] == [row.train_loss for row in plain_rows]
    assert all(row.fid != other.fid for row, other in zip(rows, plain_rows, strict=True))


def test_torchs_global_generator_is_left_alone(bench: Bench) -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    evaluations = bench.trial().run()
    next(evaluations)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(12)  # nor does the training see it
    assert numbers(next(evaluations)) == numbers(list(bench.trial().run())[1])


def test_non_finite_losses_are_skipped_and_counted(bench: Bench, faulty: str) -> None:
    trial = bench.trial(faulty, hparams={"first": 5, "count": 10})
    rows = list(trial.run())
    assert [row.non_finite_losses for row in rows] == [5, 10, 10, 10]
    assert all(row.non_finite_samples == 0 for row in rows)
    other = bench.trial(faulty)
    other.load_state_dict(trial.state_dict())
    assert (other.lost_steps, other.lost_samples) == (10, 0)
    gradients = bench.trial(faulty, hparams={"first": 5, "count": 3, "gradient_only": True})
    rows.extend(gradients.run())
    assert rows[-1].non_finite_losses == 3
    assert all(np.isfinite([row.train_loss, row.fid, row.bpd]).all() for row in rows)
    first, *_ = bench.trial(faulty, hparams={"count": 10}).run()
    assert np.isnan(first.train_loss)  # not one finite loss in its interval


@pytest.mark.parametrize(("steps", "limit"), [(40, 10), (1500, 15)])
def test_a_trial_may_lose_ten_steps_or_one_percent(
    bench: Bench, faulty: str, steps: int, limit: int
) -> None:
    kept, lost = (
        bench.trial(faulty, steps=steps, every=1.0, hparams={"count": n}, batch_size=1)
        for n in (limit, limit + 1)
    )
    (last,) = kept.run()
    assert last.non_finite_losses == limit
    message = rf"{limit + 1} steps .* up to step {limit} of {steps}; lower"
    with pytest.raises(TrainingDivergedError, match=message):
        list(lost.run())


def test_a_real_model_diverges_at_a_senseless_learning_rate(bench: Bench) -> None:
    with pytest.raises(TrainingDivergedError, match="steps without a finite loss and gradient"):
        list(bench.trial("vae", lr=1e30, steps=60).run())


def test_too_many_non_finite_samples_end_the_trial(bench: Bench, faulty: str) -> None:
    limit = int(0.05 * FID_SAMPLES)
    trial = bench.trial(faulty, hparams={"bad_samples": limit})
    rows = list(trial.run())
    assert [row.failure for row in rows] == [None] * 4
    assert [row.non_finite_samples for row in rows] == [limit * k for k in (1, 2, 3, 4)]
    assert all(np.isfinite([row.fid, row.bpd]).all() for row in rows)
    assert (trial.lost_steps, trial.lost_samples) == (0, 4 * limit)
    (row,) = bench.trial(faulty, hparams={"bad_samples": limit + 1}).run()
    assert row.failure is not None
    assert row.failure.startswith(
        f"{limit + 1} of {FID_SAMPLES} samples at step {row.step} of 40 are not finite; lower"
    )


def test_long_gradients_are_cut(bench: Bench, faulty: str) -> None:
    norms = []
    for clip_norm in (0.5, None):
        trial = bench.trial(faulty, hparams={"steepness": 100.0}, clip_norm=clip_norm)
        next(iter(trial.run()))
        grads = [p.grad for p in trial.model.parameters() if p.grad is not None]
        norms.append(torch.nn.utils.get_total_norm(grads).item())
    assert norms[0] == pytest.approx(0.5, rel=1e-3)
    assert norms[1] > 10


@pytest.mark.parametrize("init", ["clean", "mollified"])
def test_actnorm_is_fitted_to_the_data_it_names(bench: Bench, init: str) -> None:
    """At step 0 the mollified data are pure noise, whose scale is 1 already."""
    hparams = {"levels": 1, "steps": 1, "hidden": 4, "actnorm_init": init}
    trials = [bench.trial("glow", schedule, hparams=hparams) for schedule in (Vanilla(), Linear())]
    layers = [next(m for m in t.model.modules() if isinstance(m, ActNorm)) for t in trials]
    clean, mollified = (layer.log_scale for layer in layers)
    assert clean.abs().max() > 0
    assert torch.equal(clean, mollified) == (init == "clean")
    assert init == "clean" or 0 < mollified.abs().max() < 0.2


def test_a_preset_is_used_and_an_illegal_model_refused(bench: Bench) -> None:
    quick, paper = (bench.trial("maf", preset=preset).model for preset in ("quick", "paper"))
    sizes = [sum(p.numel() for p in model.parameters()) for model in (quick, paper)]
    assert sizes[1] > 2 * sizes[0]
    with pytest.raises(ValueError, match=r"hiden.*hidden"):
        bench.trial("vae", hparams={"hiden": 3})
    with pytest.raises(ValueError, match="glowe"):
        bench.trial("glowe")
