import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from mollitune.models import VAE, build
from mollitune.models._vae_nets import conv_nets

LN2 = math.log(2)
SHAPE = (1, 2, 3)
SIGMA = 0.3


def _linear_gaussian(shrink: float) -> tuple[VAE, MultivariateNormal]:
    """A VAE with linear nets, and its exact marginal: x = W z + b + sigma e.

    The columns of W are orthogonal, so the exact posterior has a diagonal covariance. With
    ``shrink`` 1 the encoder is that posterior; otherwise its mean and standard deviations are
    scaled by it, and the bounds get loose.
    """
    dims, latent = math.prod(SHAPE), 2
    basis = torch.linalg.qr(torch.randn(dims, latent, dtype=torch.float64)).Q
    lengths = torch.tensor([0.9, 0.5], dtype=torch.float64)
    weight, bias = basis * lengths, torch.linspace(-0.5, 0.5, dims, dtype=torch.float64)
    covariance = (lengths.square() / SIGMA**2 + 1).reciprocal()
    gain = shrink * covariance[:, None] * weight.T / SIGMA**2

    model = cast("VAE", build("vae", shape=SHAPE, latent=latent, sigma="learned")).double()
    encoder, decoder = nn.Linear(dims, 2 * latent).double(), nn.Linear(latent, dims).double()
    with torch.no_grad():
        encoder.weight.copy_(torch.cat((gain, torch.zeros_like(gain))))
        encoder.bias.copy_(torch.cat((-gain @ bias, (shrink**2 * covariance).log())))
        decoder.weight.copy_(weight)
        decoder.bias.copy_(bias)
        parameter = next(model.variance.parameters())
        parameter.fill_(1.0)
        parameter.mul_(2 * math.log(SIGMA) / model.variance.current())
    model.encoder = nn.Sequential(nn.Flatten(), encoder)
    model.decoder = nn.Sequential(decoder, nn.Unflatten(1, SHAPE))
    noise = SIGMA**2 * torch.eye(dims, dtype=torch.float64)
    return model, MultivariateNormal(bias, weight @ weight.T + noise)


def _log_p(bits: Tensor) -> Tensor:
    """Back from bits per dimension to nats."""
    return -(bits - 7) * LN2 * math.prod(SHAPE)


def test_with_the_exact_posterior_every_bound_is_tight() -> None:
    model, marginal = _linear_gaussian(shrink=1.0)
    x = marginal.sample((20,))
    for count in (1, 5):
        bits = model.bits_per_dim(x.reshape(-1, *SHAPE), importance_samples=count)
        torch.testing.assert_close(_log_p(bits), marginal.log_prob(x), rtol=0, atol=1e-9)


def test_bounds_tighten_with_more_samples() -> None:
    model, marginal = _linear_gaussian(shrink=0.8)
    x = marginal.sample((4000,))
    bounds = [
        _log_p(model.bits_per_dim(x.reshape(-1, *SHAPE), importance_samples=count))
        for count in (1, 5, 50)
    ]
    exact = marginal.log_prob(x)
    # Paired differences; each mean must be above -4 standard errors, and the first two, which
    # are far from zero, above +4.
    for low, high, sign in zip(bounds, [*bounds[1:], exact], (1, 1, -1), strict=True):
        gap = high - low
        assert gap.mean() > sign * 4 * gap.std() / math.sqrt(len(gap))
    assert (exact - bounds[2]).mean() < 0.2 * (exact - bounds[0]).mean()


def test_training_loss_is_the_negative_elbo() -> None:
    """Closed-form KL in training, sampled ratio in evaluation: equal means."""
    model, marginal = _linear_gaussian(shrink=0.8)
    x = marginal.sample((1,)).reshape(1, *SHAPE).expand(20_000, *SHAPE)
    with torch.no_grad():
        loss = model.loss(x)
    draws = -_log_p(model.bits_per_dim(x)) / model.dims
    # Both are means over 20,000 draws and the loss has the smaller variance: with 6 standard
    # errors of the draws the tolerance is more than 4 standard errors of the difference.
    assert abs(loss - draws.mean()) < 6 * draws.std() / math.sqrt(20_000)


@pytest.mark.parametrize("sigma", ["learned", "analytic"])
def test_sigma_follows_the_noise_level_down(sigma: str) -> None:
    model = cast("VAE", build("vae", shape=(1, 4, 4), hidden=16, latent=2, sigma=sigma))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def train(noise: float, steps: int) -> float:
        for _ in range(steps):
            x = 0.3 + noise * torch.randn(64, 1, 4, 4)
            optimizer.zero_grad()
            model.loss(x).backward()
            optimizer.step()
        return model.variance.current().exp().item()

    # Nothing but noise to explain: the best variance is the noise's.
    assert train(noise=1.0, steps=150) == pytest.approx(1.0, rel=0.15)
    assert train(noise=0.1, steps=250) == pytest.approx(0.01, rel=0.3)


def test_analytic_loss_is_half_the_log_mse() -> None:
    model = build("vae", shape=(1, 4, 4), hidden=4, latent=2, sigma="analytic")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    x = torch.randn(8, 1, 4, 4)
    # Zero weights: the decoder says 0 and the KL vanishes.
    expected = 0.5 * (2 * math.pi * math.e * x.square().mean()).log()
    torch.testing.assert_close(model.loss(x), expected)


def test_log_variance_of_the_encoder_is_bounded() -> None:
    model = cast("VAE", build("vae", shape=(1, 4, 4), hidden=8))
    _, log_variance = model.encode(1e8 * torch.randn(16, 1, 4, 4))
    assert log_variance.max().item() == 10
    assert log_variance.min().item() == -10
    assert model.loss(1e4 * torch.randn(16, 1, 4, 4)).isfinite()


def test_the_decoder_reaches_beyond_the_data_range() -> None:
    """Mollified targets leave [-1, 1], so the mean must be able to follow."""
    model = cast("VAE", build("vae", shape=(1, 4, 4), hidden=8))
    assert model.decode(100 * torch.randn(64, 8)).abs().max() > 1


def test_samples_are_the_decoders_mean() -> None:
    model = cast("VAE", build("vae", shape=(1, 4, 4), hidden=8))
    cold = model.sample(3, temperature=0)
    assert torch.equal(cold, model.decode(torch.zeros(3, 8)).detach())
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    warm = model.sample(3, torch.Generator().manual_seed(1), temperature=0.5)
    assert torch.equal(warm, model.decode(0.5 * z).detach().clamp(-1, 1))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 30, 17), (3, 64, 64)])
def test_conv_nets_fit_any_sides(shape: tuple[int, int, int]) -> None:
    encoder, decoder = conv_nets(shape, latent=3, hidden=4)
    code = encoder(torch.randn(2, *shape))
    assert code.shape == (2, 6)
    assert decoder(code[:, :3]).shape == (2, *shape)


def test_conv_encoder_sees_every_pixel() -> None:
    encoder, _ = conv_nets((1, 28, 28), latent=3, hidden=4)
    x = torch.randn(1, 1, 28, 28, requires_grad=True)
    encoder(x).sum().backward()
    assert x.grad is not None
    assert x.grad.count_nonzero() == x.numel()


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_bad_importance_samples(count: int) -> None:
    model = cast("VAE", build("vae", shape=(1, 4, 4)))
    with pytest.raises(
        ValueError, match=f"importance_samples must be an integer >= 1, got {count}"
    ):
        model.bits_per_dim(torch.zeros(1, 1, 4, 4), importance_samples=count)
