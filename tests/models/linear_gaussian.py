"""A linear model of the VAE family, whose likelihood is known exactly."""

import math
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from mollitune.models import GenerativeModel, build
from mollitune.models._vae_base import LatentVariableModel
from mollitune.models._vae_iaf import VAEIAF

SHAPE = (1, 2, 3)
DIMS = math.prod(SHAPE)
LATENT = 2
SIGMA = 0.3


class LinearGaussian(NamedTuple):
    """A model ``x = W z + b + sigma e`` with linear nets, and its exact marginal."""

    model: LatentVariableModel
    marginal: MultivariateNormal

    def sample(self, n: int) -> Tensor:
        """Draws ``n`` data of the model itself, shape ``(n, *SHAPE)``."""
        return self.marginal.sample((n,)).reshape(n, *SHAPE)

    def log_p(self, x: Tensor) -> Tensor:
        """Exact log density in nats."""
        log_p: Tensor = self.marginal.log_prob(x.flatten(1))
        return log_p

    def bound(self, x: Tensor, importance_samples: int = 1) -> Tensor:
        """The model's own bound in nats, back from bits per dimension."""
        bits = self.model.bits_per_dim(x, importance_samples=importance_samples)
        return -(bits - 7) * math.log(2) * DIMS

    def encoder_gradients(self, x: Tensor, draws: int) -> Tensor:
        """Gradients of the loss of ``x`` in the encoder's bias, one row for each of many draws."""
        bias, skeleton = "model.encoder.1.bias", Loss(self.model)
        state = {key: value.detach() for key, value in skeleton.named_parameters()}

        def loss(value: Tensor, x: Tensor) -> Tensor:
            out: Tensor = torch.func.functional_call(skeleton, {**state, bias: value}, (x,))
            return out

        run = torch.vmap(torch.func.grad(loss), in_dims=(None, 0), randomness="different")
        gradients: Tensor = run(state[bias], x.expand(draws, *x.shape))
        return gradients


class Loss(nn.Module):
    """``functional_call`` calls a module's forward; this one's is a model's loss."""

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.loss(x)


def linear_gaussian(
    name: str = "vae", *, shrink: float, sigma: float = SIGMA, **hparams: Any
) -> LinearGaussian:
    """Builds the model ``name`` with linear nets, in float64.

    The columns of W are orthogonal, so the exact posterior has a diagonal covariance. With
    ``shrink`` 1 the encoder is that posterior; otherwise its mean and standard deviations are
    scaled by it, and the bounds get loose. A flow on top is the identity at first.
    """
    basis = torch.linalg.qr(torch.randn(DIMS, LATENT, dtype=torch.float64)).Q
    lengths = torch.tensor([0.9, 0.5], dtype=torch.float64)
    weight, bias = basis * lengths, torch.linspace(-0.5, 0.5, DIMS, dtype=torch.float64)
    covariance = (lengths.square() / sigma**2 + 1).reciprocal()
    gain = shrink * covariance[:, None] * weight.T / sigma**2

    model = build(name, shape=SHAPE, latent=LATENT, **{"sigma": "learned", **hparams}).double()
    model = cast("LatentVariableModel", model)
    encoder = nn.Linear(DIMS, 2 * LATENT + model.context).double()
    decoder = nn.Linear(LATENT, DIMS).double()
    with torch.no_grad():
        encoder.weight[: 2 * LATENT].copy_(torch.cat((gain, torch.zeros_like(gain))))
        mean_and_log_variance = torch.cat((-gain @ bias, (shrink**2 * covariance).log()))
        encoder.bias[: 2 * LATENT].copy_(mean_and_log_variance)
        decoder.weight.copy_(weight)
        decoder.bias.copy_(bias)
        for parameter in model.variance.parameters():
            parameter.fill_(1.0)
            parameter.mul_(2 * math.log(sigma) / model.variance.current())
    model.encoder = nn.Sequential(nn.Flatten(), encoder)
    model.decoder = nn.Sequential(decoder, nn.Unflatten(1, SHAPE))
    if isinstance(model, VAEIAF):
        open_gates(model)
    noise = sigma**2 * torch.eye(DIMS, dtype=torch.float64)
    return LinearGaussian(model, MultivariateNormal(bias, weight @ weight.T + noise))


def open_gates(model: VAEIAF, bias: float = 50) -> None:
    """Makes every step of the flow near the identity: sigmoid(50) is 1 in float64."""
    with torch.no_grad():
        for step in model.flows:
            last = cast("Any", step).net.last
            for parameter in last.parameters():
                parameter.zero_()
            last.bias[model.latent :] = bias
