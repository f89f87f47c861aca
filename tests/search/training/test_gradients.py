"""A training step as a program, traced or compiled, against the model's own."""

import copy
from collections.abc import Iterable

import pytest
import torch
from tests.search.bench import Bench, states, weights

from mollitune.models import draws_from, models
from mollitune.search.training.gradients import CompiledGradients, gradients_of
from mollitune.search.training.programs import (
    Loss,
    drawn_sizes,
    is_compiled,
    key_of,
    program,
    pure,
)
from mollitune.search.training.stack import train_together


def parts(loss: Loss) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Parameters and buffers by their names."""
    return dict(loss.named_parameters()), dict(loss.named_buffers())


def assert_gradients(grads: Iterable[torch.Tensor], model: torch.nn.Module) -> None:
    """That they are the model's own, bit for bit."""
    for grad, parameter in zip(grads, model.parameters(), strict=True):
        assert grad.dtype is parameter.dtype is torch.float32
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        assert torch.equal(grad, expected)


@pytest.mark.parametrize("model", models())
def test_a_trace_gives_the_very_numbers_of_the_model(bench: Bench, model: str) -> None:
    """Loss, gradients and buffers, bit for bit, with weights that it was not made with."""
    trial, other = (bench.trial(model, seed=seed) for seed in (1, 2))
    x = trial.batch(0.1)
    loss = Loss(trial.model)
    params, buffers = parts(loss)
    before = copy.deepcopy(buffers)
    sizes = drawn_sizes(loss, params, buffers, x)
    zeros = [torch.zeros(size) for size in sizes]
    key = key_of(trial.spec, x)
    run = program(pure(loss), params, buffers, x, zeros, key=key)
    assert program(pure(loss), params, buffers, x, zeros, key=key) is run
    assert states(buffers) == states(before)  # making it changed nothing

    own, twin = Loss(other.model), Loss(copy.deepcopy(other.model))
    draws = [torch.randn(size) for size in sizes]
    found, grads = run([p.detach() for p in own.parameters()], parts(own)[1], x, draws)
    given = iter(draws)
    with draws_from(lambda size, like: next(given)):
        wanted = twin(x)
    wanted.backward()
    assert states(found) == states(wanted.detach())
    assert_gradients(grads, twin)
    assert states(parts(own)[1]) == states(parts(twin)[1])


@pytest.mark.slow
def test_a_compiled_trial_trains_as_another_one(bench: Bench) -> None:
    """But for rounding; the draws and their order are the very same."""
    one, other = (bench.trial(steps=12, compiled=how) for how in (True, False))
    for found, wanted in zip(one.run(), other.run(), strict=True):
        assert found.fid == pytest.approx(wanted.fid, rel=1e-3)
        assert found.train_loss == pytest.approx(wanted.train_loss, rel=1e-4)
    mine, theirs = one.state_dict(), other.state_dict()
    for name in ("step", "batches", "dequantise", "mollify", "rng"):
        assert states(mine[name]) == states(theirs[name])
    torch.testing.assert_close(mine["model"], theirs["model"], rtol=1e-4, atol=1e-5)
    assert states(mine["model"]) != states(theirs["model"])  # it was other code that ran


@pytest.mark.slow
def test_a_compiled_trial_resumes_to_the_same_numbers(bench: Bench) -> None:
    whole, begun, resumed = (bench.trial(steps=12, compiled=True) for _ in range(3))
    for trial in (whole, begun):
        trial.train()
        trial.report()
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    for trial in (whole, resumed):
        trial.train()
    assert weights(whole) == weights(resumed)


@pytest.mark.parametrize("model", models())
def test_bf16_is_of_the_networks_alone(bench: Bench, model: str) -> None:
    """Traced or not; weights, gradients and the loss stay in fp32, near those of fp32."""
    whole, half = (bench.trial(model, precision=p) for p in ("fp32", "bf16"))
    whole.train()  # fresh couplings are identities, whatever their precision
    half.model.load_state_dict(whole.model.state_dict())
    x = whole.batch(0.1)
    loss = Loss(half.model)
    params, buffers = parts(loss)
    buffers = copy.deepcopy(buffers)
    found = []
    for trial in (whole, half):
        torch.manual_seed(0)
        found.append(gradients_of(trial.model, trial.spec, False)(x))
    assert not torch.equal(*found)
    torch.testing.assert_close(found[0], found[1], rtol=0.02, atol=0.02)
    sizes = drawn_sizes(loss, params, buffers, x)
    torch.manual_seed(0)
    draws = [torch.randn(size) for size in sizes]
    run = program(pure(loss, "bf16"), params, buffers, x, draws, key=key_of(half.spec, x))
    value, grads = run([p.detach() for p in params.values()], buffers, x, draws)
    assert states(value) == states(found[1])
    assert_gradients(grads, half.model)


def test_code_that_was_compiled_is_taken_only_if_asked_for(bench: Bench) -> None:
    trial = bench.trial()
    x, loss = trial.batch(0.1), Loss(trial.model)
    params, buffers = parts(loss)
    draws = [torch.zeros(size) for size in drawn_sizes(loss, params, buffers, x)]
    key = ("only here", x.shape)
    compiled, traced, again = (
        program(pure(loss), params, buffers, x, draws, key=key, compiled=how)
        for how in (True, False, False)
    )
    assert is_compiled(key)
    assert compiled is not traced
    assert again is traced


def test_stacks_in_bf16(bench: Bench) -> None:
    together, alone, whole = (
        [bench.trial(steps=12, seed=seed, precision=p) for seed in (0, 1)]
        for p in ("bf16", "bf16", "fp32")
    )
    train_together(together)
    for one, other, unlike in zip(together, alone, whole, strict=True):
        other.train()
        unlike.train()
        losses = [trial.state_dict()["losses"] for trial in (one, other, unlike)]
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-3, atol=1e-3)
        assert not torch.equal(losses[1], losses[2])
    with pytest.raises(ValueError, match="may differ in schedule, seed and"):
        train_together([together[0], whole[0]])


def test_batches_of_another_size(bench: Bench) -> None:
    """A batch at the end of the data may be short."""
    trial = bench.trial()
    run = CompiledGradients(trial.model, trial.spec)
    for count in (32, 5, 32):
        x = torch.rand(count, 1, 8, 8)
        torch.manual_seed(0)
        found, grads = run(x), [p.grad for p in trial.model.parameters()]
        torch.manual_seed(0)
        wanted = gradients_of(trial.model, trial.spec, False)(x)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
        for grad, parameter in zip(grads, trial.model.parameters(), strict=True):
            assert grad is not None
            torch.testing.assert_close(grad, parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_stack_of_compiled_trials(bench: Bench) -> None:
    together, alone = (
        [bench.trial(steps=12, seed=seed, compiled=how) for seed in (0, 1)]
        for how in (True, False)
    )
    assert train_together(together) == [None, None]
    for one, other in zip(together, alone, strict=True):
        other.train()
        found, wanted = one.state_dict()["model"], other.state_dict()["model"]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="may differ in schedule, seed and"):
        train_together([together[0], alone[0]])


def test_a_model_of_a_users_own_runs_as_it_is(bench: Bench, faulty: str) -> None:
    """It counts its calls: a trace would repeat the first one for ever."""
    trial = bench.trial(faulty, hparams={"first": 1, "count": 1})
    run = gradients_of(trial.model, trial.spec, True)
    losses = [float(run(trial.batch(0.1))) for _ in range(3)]
    assert [loss == loss for loss in losses] == [True, False, True]


def test_moments_of_a_checkpoint_with_another_layout(bench: Bench) -> None:
    """Checkpoints from before convolutions lay channels last: Adam walks through memory."""
    older, newer = (bench.trial("realnvp", hparams={"scales": 1, "hidden": 4}) for _ in range(2))
    older.train()
    state = copy.deepcopy(older.state_dict())
    turned = 0
    for moments in state["optimiser"]["state"].values():
        for name in ("exp_avg", "exp_avg_sq"):
            turned += not moments[name].is_contiguous()
            moments[name] = moments[name].contiguous()
    assert turned
    newer.load_state_dict(state)
    for trial in (older, newer):
        trial.evaluated = trial.step
        trial.train()
    assert weights(older) == weights(newer)
