import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from mollitune.models import VAE, BetaVAE, GenerativeModel, build
from mollitune.models._gaussian import kl_to_standard_normal

SHAPE = (1, 4, 4)


def _twin(of: GenerativeModel, name: str, **hparams: Any) -> GenerativeModel:
    """A model with the same nets and other hyperparameters."""
    model = build(name, shape=SHAPE, hidden=8, latent=3, **hparams).double()
    nets = {key: value for key, value in of.state_dict().items() if "coder" in key}
    model.load_state_dict(nets, strict=False)
    return model


def _beta_vae(**hparams: Any) -> BetaVAE:
    model = build("beta_vae", shape=SHAPE, hidden=8, latent=3, **hparams)
    return cast("BetaVAE", model.double())


def _loss(model: GenerativeModel, x: Tensor) -> Tensor:
    torch.manual_seed(7)
    return model.loss(x).detach()


def _bits(model: GenerativeModel, x: Tensor) -> Tensor:
    return model.bits_per_dim(x, torch.Generator().manual_seed(7))


def _batch() -> Tensor:
    return torch.randn(6, *SHAPE, dtype=torch.float64)


@pytest.mark.parametrize("sigma", ["analytic", "learned", "unit"])
def test_beta_weights_the_divergence(sigma: str) -> None:
    model, x = _beta_vae(sigma=sigma, beta=0.2), _batch()
    other = _twin(model, "beta_vae", sigma=sigma, beta=3.0)
    kl = kl_to_standard_normal(*model.encode(x)).mean().detach()
    assert kl > 0.01
    torch.testing.assert_close(_loss(other, x) - _loss(model, x), 2.8 * kl / 16)


@pytest.mark.parametrize("sigma", ["analytic", "learned"])
def test_weight_one_is_the_vae_and_the_likelihood_does_not_depend_on_beta(sigma: str) -> None:
    x = _batch()
    for beta in (1.0, 0.2):
        model = _beta_vae(sigma=sigma, beta=beta)
        vae = _twin(model, "vae", sigma=sigma)
        assert torch.equal(_loss(model, x), _loss(vae, x)) == (beta == 1)
        assert torch.equal(_bits(model, x), _bits(vae, x))


@pytest.mark.parametrize("beta", [0.05, 4.0])
def test_unit_variance_is_a_decoder_of_variance_beta(beta: float) -> None:
    """The loss is ``beta`` times that model's negative ELBO, plus a constant of ``beta``."""
    model, x = _beta_vae(sigma="unit", beta=beta), _batch()
    vae = cast("VAE", _twin(model, "vae", sigma="learned"))
    with torch.no_grad():
        for parameter in vae.variance.parameters():
            parameter.fill_(1.0)
            parameter.mul_(math.log(beta) / vae.variance.current())
    constant = 0.5 * math.log(2 * math.pi) - beta * 0.5 * math.log(2 * math.pi * beta)
    torch.testing.assert_close(_loss(model, x), beta * _loss(vae, x) + constant)
    torch.testing.assert_close(_bits(model, x), _bits(vae, x))
