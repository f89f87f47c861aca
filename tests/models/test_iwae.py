from typing import Any, cast

import pytest
import torch
from tests.models.linear_gaussian import linear_gaussian
from torch import Tensor

from mollitune.models import IWAE, build
from mollitune.models._gaussian import (
    AnalyticVariance,
    diagonal_log_prob,
    standard_normal_log_prob,
)


def _iwae(**hparams: Any) -> IWAE:
    model = build("iwae", shape=(1, 4, 4), **{"hidden": 8, "latent": 3, **hparams})
    return cast("IWAE", model.double())


def _batch(n: int = 6) -> Tensor:
    return torch.randn(n, 1, 4, 4, dtype=torch.float64)


def _log_weights(model: IWAE, x: Tensor) -> Tensor:
    """One draw at a time, with the same draws as the loss after the same seed."""
    mean, log_variance = model.encode(x)
    noise = torch.randn(model.samples * len(x), model.latent, dtype=x.dtype)
    rows = []
    for e in noise.chunk(model.samples):
        z = mean + (0.5 * log_variance).exp() * e
        ratio = standard_normal_log_prob(z) - diagonal_log_prob(z, mean, log_variance)
        rows.append(diagonal_log_prob(x, model.decode(z), model.variance.current()) + ratio)
    return torch.stack(rows)


@pytest.mark.parametrize("dreg", [False, True])
@pytest.mark.parametrize("samples", [1, 4])
def test_the_loss_is_the_bound_itself(samples: int, dreg: bool) -> None:
    model, x = _iwae(samples=samples, dreg=dreg, sigma="learned"), _batch()
    torch.manual_seed(2)
    loss = model.loss(x)
    torch.manual_seed(2)
    log_weights = _log_weights(model, x)
    bound = log_weights.exp().mean(0).log()
    torch.testing.assert_close(loss, -bound.mean() / 16)
    if samples > 1:  # the weighted sum of log-weights, another value with the same gradient
        surrogate = (log_weights.softmax(0) * log_weights).sum(0)
        assert abs(loss + surrogate.mean() / 16) > 1e-3


def test_its_own_samples_are_the_default_in_evaluation() -> None:
    model, x = _iwae(samples=4), _batch()

    def bits(**options: int) -> Tensor:
        return model.bits_per_dim(x, torch.Generator().manual_seed(1), **options)

    assert torch.equal(bits(), bits(importance_samples=4))
    assert not torch.equal(bits(), bits(importance_samples=1))


def test_nets_run_once() -> None:
    """The encoder on N images, the decoder on all K * N latents."""
    model, sizes = _iwae(samples=4), []
    for net in (model.encoder, model.decoder):
        net.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    model.loss(_batch(3))
    assert sizes == [3, 12]


def _gradients(model: IWAE, x: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(2)
    model.zero_grad()
    model.loss(x).backward()
    return {
        key: parameter.grad.clone()
        for key, parameter in model.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("dreg", [False, True])
def test_the_analytic_variance_counts_as_a_constant(dreg: bool) -> None:
    model, x = _iwae(samples=4, sigma="analytic", dreg=dreg), _batch()
    fitted = _gradients(model, x)
    variance = cast("AnalyticVariance", model.variance).eval()
    # The running mean has moved a tenth of the way from 1 to the batch's error.
    variance.running.sub_(0.9).div_(0.1)
    for key, gradient in _gradients(model, x).items():
        torch.testing.assert_close(gradient, fitted[key], rtol=1e-9, atol=1e-12, msg=key)


@pytest.mark.parametrize("sigma", ["analytic", "learned"])
def test_doubly_reparameterised_gradients_differ_in_the_encoder_only(sigma: str) -> None:
    model, x = _iwae(samples=4, sigma=sigma), _batch()
    plain = _gradients(model, x)
    model.dreg = True
    doubly = _gradients(model, x)
    assert plain.keys() == doubly.keys()
    for key, gradient in plain.items():
        assert torch.equal(gradient, doubly[key]) != key.startswith("encoder"), key


def test_doubly_reparameterised_gradients_agree_in_mean_and_vary_less() -> None:
    exact = linear_gaussian("iwae", shrink=0.8, samples=8, dreg=False)
    x, draws = exact.sample(1), 20_000
    plain = exact.encoder_gradients(x, draws)
    cast("IWAE", exact.model).dreg = True
    doubly = exact.encoder_gradients(x, draws)
    error = ((plain.var(0) + doubly.var(0)) / draws).sqrt()
    assert ((plain.mean(0) - doubly.mean(0)).abs() < 4 * error).all()
    assert (plain.mean(0).abs() > 8 * error).any()
    assert doubly.var(0).sum() < 0.5 * plain.var(0).sum()
