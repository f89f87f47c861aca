"""Trials that are trained as one, against the same trials by themselves."""

import copy
import math
from collections import defaultdict
from typing import Any

import pytest
import torch
from tests.search.bench import Bench, states

from mollitune.models import models
from mollitune.schedules import Blur, Sigmoid, Vanilla
from mollitune.search.training.stack import next_batches, stackable, train_together
from mollitune.search.training.trial import TrainingDivergedError, Trial

SMALL: dict[str, dict[str, Any]] = {
    "beta_vae": {"hidden": 8, "latent": 3},
    "glow": {"hidden": 4, "steps": 2},
    "hvae": {"hidden": 8, "latent": 3},
    "iwae": {"hidden": 8, "latent": 3},
    "maf": {"hidden": 8, "blocks": 2},
    "realnvp": {"scales": 1, "hidden": 4, "blocks": 0},
    "vae": {"latent": 4, "hidden": 16},
    "vae_iaf": {"hidden": 8, "latent": 3},
}
SCHEDULES = (Sigmoid(until=0.6), Blur(sigma_max=2.0, until=0.5), Vanilla())


def trials(bench: Bench, model: str = "vae", **more: Any) -> list[Trial]:
    settings = {"hparams": SMALL.get(model, {}), "steps": 12, **more}
    return [bench.trial(model, s, seed=k, **settings) for k, s in enumerate(SCHEDULES)]


def assert_same(together: Trial, alone: Trial) -> None:
    """The same numbers but for rounding, and not one draw more or less."""
    found, wanted = together.state_dict(), alone.state_dict()
    for name in ("step", "lost_steps", "batches", "dequantise", "mollify", "rng"):
        assert states(found[name]) == states(wanted[name]), name
    torch.testing.assert_close(found["losses"], wanted["losses"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["model"], wanted["model"], rtol=1e-4, atol=1e-5)
    ages = [state["optimiser"]["state"] for state in (found, wanted)]
    assert [s.get("step") for s in ages[0].values()] == [s.get("step") for s in ages[1].values()]
    torch.testing.assert_close(ages[0], ages[1], rtol=1e-3, atol=1e-5)


def test_batches_are_those_of_each_trial(bench: Bench) -> None:
    together, alone = trials(bench), trials(bench)
    together[1].train()  # one is older than the others, and has less blur
    alone[1].train()
    for _ in range(40):  # more than an epoch
        found = next_batches(together)
        for own, trial in zip(found, alone, strict=True):
            wanted = trial.batch(trial.step / trial.spec.steps)
            assert own.numpy().tobytes() == wanted.numpy().tobytes()


@pytest.mark.parametrize("model", models())
def test_each_trains_as_by_itself(bench: Bench, model: str) -> None:
    together, alone = trials(bench, model), trials(bench, model)
    together[1].train()  # one is older than the others
    together[1].report()
    alone[1].train()
    alone[1].report()
    assert stackable(together[0])
    assert train_together(together) == [None, None, None]
    for one, other in zip(together, alone, strict=True):
        other.train()
        assert one.step == other.step == one.next_mark
        assert_same(one, other)
        assert one.report().fid == pytest.approx(other.report().fid, rel=1e-3)
        # and what a checkpoint of it holds can be gone on from, by itself
        one.train()
        other.train()
        assert_same(one, other)


def test_long_gradients_are_cut_for_each(bench: Bench) -> None:
    free, cut, alone = (trials(bench, clip_norm=norm) for norm in (None, 0.05, 0.05))
    for group in (free, cut):
        train_together(group)
    for one, other, unlike in zip(cut, alone, free, strict=True):
        other.train()
        assert_same(one, other)
        assert not torch.equal(one.state_dict()["losses"], unlike.state_dict()["losses"])


def test_marks_that_rounding_parts(bench: Bench) -> None:
    """Evaluated after 3, 5, 8 and 10 steps: those of other ages make other numbers of steps."""
    together, alone = (trials(bench, steps=10, every=0.25) for _ in range(2))
    for group in (together, alone):
        group[0].train()
        group[0].report()
    train_together(together)
    assert [trial.step for trial in together] == [5, 2, 2]
    for one, other in zip(together, alone, strict=True):
        other.train()
        assert_same(one, other)


class Breaking(Sigmoid):
    """Spoils every batch after the first quarter of the training."""

    def __call__(
        self, x: torch.Tensor, progress: float, *, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        return x * math.nan if progress > 0.25 else x


def test_one_that_diverges_does_not_disturb_the_others(bench: Bench) -> None:
    together, alone = (
        [bench.trial("vae", s, k, steps=60, every=1.0) for k, s in enumerate(schedules)]
        for schedules in [(SCHEDULES[0], Breaking(), SCHEDULES[2])] * 2
    )
    errors = train_together(together)
    found = [None if error is None else str(error) for error in errors]
    assert found == [reason_of(trial) for trial in alone]
    assert [text is None for text in found] == [True, False, True]
    assert str(found[1]).startswith("11 steps without a finite loss and gradient up to step 26")
    for one, other in zip(together, alone, strict=True):
        assert one.lost_steps == other.lost_steps
        torch.testing.assert_close(one.model.state_dict(), other.model.state_dict())


def test_a_stack_may_be_saved_on_the_way(bench: Bench) -> None:
    """Each trial as it would be by itself; what has diverged is not worth a file."""
    schedules = (SCHEDULES[0], Breaking(), SCHEDULES[2])
    together, alone = (
        [bench.trial("vae", s, k, steps=60, every=1.0) for k, s in enumerate(schedules)]
        for _ in range(2)
    )
    saved = defaultdict[int, list[dict[str, Any]]](list)

    def save(trial: Trial) -> None:
        saved[trial.spec.seed].append(copy.deepcopy(trial.state_dict()))

    train_together(together, lambda: together[0].step % 25 == 0, save)
    assert [[state["step"] for state in saved[k]] for k in range(3)] == [[25, 50], [25], [25, 50]]
    resumed = bench.trial("vae", schedules[0], 0, steps=60, every=1.0)
    resumed.load_state_dict(saved[0][1])
    resumed.train()
    alone[0].train()
    assert_same(resumed, alone[0])
    assert_same(together[0], alone[0])


def reason_of(trial: Trial) -> str | None:
    """Train a trial by itself; return why it diverged."""
    try:
        trial.train()
    except TrainingDivergedError as error:
        return str(error)
    return None


def test_what_cannot_be_trained_together(bench: Bench, faulty: str) -> None:
    assert not stackable(bench.trial(faulty, hparams={"own_noise": True}))
    assert stackable(bench.trial(faulty))
    assert not stackable(bench.trial(ema=0.1))
    state = torch.get_rng_state()
    assert stackable(trial := bench.trial())
    assert torch.equal(torch.get_rng_state(), state)
    assert states(trial.state_dict()) == states(bench.trial().state_dict())
    with pytest.raises(ValueError, match="differ in schedule, seed and beta1"):
        train_together([bench.trial(), bench.trial(batch_size=16)])
    with pytest.raises(ValueError, match="averaged weights"):
        train_together([bench.trial(ema=0.1), bench.trial(ema=0.1)])
