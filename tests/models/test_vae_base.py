"""What every member of the VAE family must satisfy."""

import math
from typing import Any, cast

import pytest
import torch
from tests.models.flows import perturb
from tests.models.linear_gaussian import linear_gaussian, open_gates

from mollitune.models import build
from mollitune.models._vae_base import Code, LatentVariableModel
from mollitune.models._vae_iaf import VAEIAF
from mollitune.models._vae_nets import conv_nets, mlp_nets

FAMILY = ["vae", "beta_vae", "iwae", "vae_iaf", "hvae"]


def _small(name: str, **hparams: Any) -> LatentVariableModel:
    model = build(name, shape=(1, 4, 4), **{"hidden": 16, "latent": 2, **hparams})
    return cast("LatentVariableModel", model)


@pytest.mark.parametrize("name", ["vae", "beta_vae", "iwae", "vae_iaf"])
def test_with_the_exact_posterior_every_bound_is_tight(name: str) -> None:
    exact = linear_gaussian(name, shrink=1.0)
    x = exact.sample(20)
    for count in (1, 5):
        torch.testing.assert_close(exact.bound(x, count), exact.log_p(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", FAMILY)
def test_bounds_tighten_with_more_samples(name: str) -> None:
    exact = linear_gaussian(name, shrink=0.8)
    x = exact.sample(4000)
    bounds = [exact.bound(x, count) for count in (1, 5, 50)]
    log_p = exact.log_p(x)
    # Paired differences; each mean must be above -4 standard errors, and the first two, which
    # are far from zero, above +4.
    for low, high, sign in zip(bounds, [*bounds[1:], log_p], (1, 1, -1), strict=True):
        gap = high - low
        assert gap.mean() > sign * 4 * gap.std() / math.sqrt(len(gap))
    assert (log_p - bounds[2]).mean() < 0.2 * (log_p - bounds[0]).mean()


@pytest.mark.parametrize("name", ["iwae", "vae_iaf", "hvae"])
def test_one_draw_in_evaluation_is_the_loss(name: str) -> None:
    """Where the divergence is sampled, the loss and the bound are one number."""
    hparams = {"samples": 1} if name == "iwae" else {}
    exact = linear_gaussian(name, shrink=0.8, **hparams)
    x = exact.sample(16)
    torch.manual_seed(1)
    loss = exact.model.loss(x)
    torch.manual_seed(1)
    torch.testing.assert_close(loss.detach(), -exact.bound(x).mean() / exact.model.dims)


@pytest.mark.parametrize("name", ["vae_iaf", "hvae"])
def test_path_gradients_agree_in_mean_and_vary_less(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaving the score out of the sampled divergence changes no expectation."""
    exact = linear_gaussian(name, shrink=0.8)
    if isinstance(exact.model, VAEIAF):
        open_gates(exact.model, bias=2)
        perturb(exact.model.flows, 0.2)
    x, draws = exact.sample(1), 20_000
    path = exact.encoder_gradients(x, draws)
    monkeypatch.setattr(Code, "path_log_prob", Code.log_prob)
    full = exact.encoder_gradients(x, draws)
    error = ((path.var(0) + full.var(0)) / draws).sqrt()
    assert ((path.mean(0) - full.mean(0)).abs() < 4 * error).all()
    assert (path.mean(0).abs() > 8 * error).any()
    assert path.var(0).sum() < 0.8 * full.var(0).sum()


@pytest.mark.parametrize(
    ("name", "sigma"), [("vae", "learned"), ("iwae", "analytic"), ("hvae", "learned")]
)
def test_sigma_follows_the_noise_level_down(name: str, sigma: str) -> None:
    model = _small(name, hidden=8, sigma=sigma)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def train(noise: float, steps: int) -> float:
        for _ in range(steps):
            x = 0.3 + noise * torch.randn(64, 1, 4, 4)
            optimizer.zero_grad()
            model.loss(x).backward()
            optimizer.step()
        return model.variance.current().exp().item()

    # Nothing but noise to explain: the best variance is the noise's.
    assert train(noise=1.0, steps=60) == pytest.approx(1.0, rel=0.15)
    assert train(noise=0.1, steps=100) == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize("name", FAMILY)
def test_codes_and_samples(name: str) -> None:
    model = _small(name)
    _, log_variance = model.encode(1e8 * torch.randn(16, 1, 4, 4))
    assert log_variance.max().item() == 10
    assert log_variance.min().item() == -10
    assert model.loss(1e4 * torch.randn(16, 1, 4, 4)).isfinite()
    # Mollified targets leave [-1, 1], so the mean must be able to follow.
    assert model.decode(100 * torch.randn(64, 2)).abs().max() > 1
    cold = model.sample(3, temperature=0)
    assert torch.equal(cold, model.decode(torch.zeros(3, 2)).detach())
    z = torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    warm = model.sample(3, torch.Generator().manual_seed(1), temperature=0.5)
    assert torch.equal(warm, model.decode(0.5 * z).detach().clamp(-1, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.decode(z).dtype == model.encode(warm)[1].dtype == torch.float32


@pytest.mark.parametrize("name", FAMILY)
def test_one_latent_dimension_is_enough(name: str) -> None:
    model, x = _small(name, latent=1), torch.zeros(2, 1, 4, 4)
    loss = model.loss(torch.randn(4, 1, 4, 4))
    loss.backward()
    assert loss.isfinite()
    assert model.bits_per_dim(x, importance_samples=3).isfinite().all()
    for count in (0, -1, 1.5, True):
        wrong = f"importance_samples must be an integer >= 1, got {count}"
        with pytest.raises(ValueError, match=wrong):
            model.bits_per_dim(x, importance_samples=count)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [mlp_nets, conv_nets])
def test_nets_fit_any_sides(make: Any) -> None:
    for shape in ((1, 8, 8), (1, 28, 28), (3, 30, 17), (3, 64, 64)):
        encoder, decoder = make(shape, latent=3, hidden=4, context=5)
        code = encoder(torch.randn(2, *shape))
        assert code.shape == (2, 2 * 3 + 5)
        assert decoder(code[:, :3]).shape == (2, *shape)


def test_conv_encoder_sees_every_pixel() -> None:
    encoder, _ = conv_nets((1, 28, 28), latent=3, hidden=4)
    x = torch.randn(1, 1, 28, 28, requires_grad=True)
    encoder(x).sum().backward()
    assert x.grad is not None
    assert x.grad.count_nonzero() == x.numel()


def test_a_vector_is_a_draw_of_the_density_and_an_image_its_mean() -> None:
    codes = torch.zeros(20_000, 4)
    vae = build("vae", (5,), sigma="learned")
    assert isinstance(vae, LatentVariableModel)
    noise = vae.render(codes, torch.Generator().manual_seed(0)) - vae.decode(codes)
    assert noise.var().item() == pytest.approx(vae.variance.current().exp().item(), rel=0.03)
    assert torch.equal(vae.render(codes, temperature=0.0), vae.decode(codes))
    of_images = build("vae", (1, 8, 8))
    assert isinstance(of_images, LatentVariableModel)
    assert torch.equal(
        of_images.render(codes[:2, :1].expand(2, 8)), of_images.decode(codes[:2, :1].expand(2, 8))
    )
