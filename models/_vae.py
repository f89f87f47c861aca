"""Variational autoencoder with a Gaussian decoder of one shared variance."""

import math
from functools import partial

import torch
from torch import Tensor

from ._base import GenerativeModel
from ._bits import nats_to_bits
from ._checks import check_choice, check_int
from ._clamp import clamp_inward
from ._gaussian import (
    decoder_variance,
    diagonal_log_prob,
    kl_to_standard_normal,
    standard_normal_log_prob,
)
from ._random import randn
from ._registry import by_side, register
from ._vae_nets import conv_nets, mlp_nets

QUICK = {
    8: {"net": "mlp", "latent": 8, "hidden": 128, "sigma": "analytic"},
    28: {"net": "conv", "latent": 16, "hidden": 32, "sigma": "analytic"},
    32: {"net": "conv", "latent": 128, "hidden": 48, "sigma": "analytic"},
    64: {"net": "conv", "latent": 128, "hidden": 48, "sigma": "analytic"},
}
"""Defaults by image side, quick to train."""

PAPER = {
    8: {"net": "mlp", "latent": 8, "hidden": 128, "sigma": "analytic"},
    28: {"net": "conv", "latent": 16, "hidden": 128, "sigma": "analytic"},
    32: {"net": "conv", "latent": 256, "hidden": 128, "sigma": "analytic"},
    64: {"net": "conv", "latent": 64, "hidden": 128, "sigma": "analytic"},
}
"""Widths and latents of the published VAEs by image side."""

_NETS = {"conv": conv_nets, "mlp": mlp_nets}
_LOG_VARIANCE_BOUND = 10.0


@register("vae", quick=partial(by_side, QUICK), paper=partial(by_side, PAPER))
class VAE(GenerativeModel):
    r"""Variational autoencoder, :math:`p(x|z) = N(x; \mu(z), \sigma^2 I)`, :math:`p(z) = N(0, I)`.

    The encoder's log-variance is bounded to [-10, 10]; outside, only the gradient that leads back
    in passes. The decoder's mean is linear and unbounded, because mollified targets leave
    [-1, 1]. ``sample`` returns that MEAN at ``z ~ N(0, temperature^2 I)``, without pixel noise.

    Args:
        shape: shape ``(C, H, W)`` of one image.
        net: ``"mlp"`` for small images or ``"conv"``.
        latent: dimensions of :math:`z`, >= 1.
        hidden: width of the MLP's layers or of the first convolution, >= 1.
        sigma: ``"learned"``, one shared parameter, or ``"analytic"``, the mean squared error of
            the batch in training and its running mean in evaluation (sigma-VAE).

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, net: str, latent: int, hidden: int, sigma: str
    ) -> None:
        super().__init__(shape)
        self.latent = check_int("latent", latent, 1)
        make = _NETS[check_choice("net", net, _NETS)]
        self.encoder, self.decoder = make(self.shape, self.latent, check_int("hidden", hidden, 1))
        self.variance = decoder_variance(sigma)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of ``q(z|x)``, each of shape ``(N, latent)``."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, clamp_inward(log_variance, -_LOG_VARIANCE_BOUND, _LOG_VARIANCE_BOUND)

    def decode(self, z: Tensor) -> Tensor:
        """Mean of ``p(x|z)``: shape ``(N, latent)`` to ``(N, C, H, W)``, unbounded."""
        mean: Tensor = self.decoder(z)
        return mean

    def loss(self, x: Tensor) -> Tensor:
        """The negative ELBO in nats per dimension, one draw of ``z`` per image.

        In training mode the analytic variance is fitted to this very batch; in evaluation mode
        its running mean is used, as in ``bits_per_dim``.
        """
        mean, log_variance = self.encode(self._checked(x))
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        decoded = self.decode(z)
        variance = self.variance.fitted(x, decoded) if self.training else self.variance.current()
        elbo = diagonal_log_prob(x, decoded, variance) - kl_to_standard_normal(mean, log_variance)
        return -elbo.mean() / self.dims

    @torch.no_grad()
    def bits_per_dim(
        self,
        x: Tensor,
        generator: torch.Generator | None = None,
        *,
        importance_samples: int = 1,
    ) -> Tensor:
        r"""Bits per dimension from above: the bound :math:`L_K`, the ELBO for :math:`K = 1`.

        .. math:: L_K = \log \frac{1}{K} \sum_k \frac{p(x|z_k) p(z_k)}{q(z_k|x)},
                  \quad z_k \sim q(z|x)

        It tightens with :math:`K` in expectation (Burda et al., 2016).

        Args:
            x: clean dequantised images in ``[-1, 1)``, shape ``(N, C, H, W)``.
            generator: source of the draws of ``z``; torch's global one if None.
            importance_samples: :math:`K` >= 1; time grows with it, memory does not.

        Returns:
            Shape ``(N,)``, without a gradient.

        Raises:
            ValueError: ``x`` has another shape or dtype, or ``importance_samples`` < 1.
        """
        importance_samples = check_int("importance_samples", importance_samples, 1)
        return nats_to_bits(self._nll(self._checked(x), generator, importance_samples), self.dims)

    def _nll(
        self, x: Tensor, generator: torch.Generator | None, importance_samples: int = 1
    ) -> Tensor:
        mean, log_variance = self.encode(x)
        log_weights = []
        for _ in range(importance_samples):
            z = mean + torch.exp(0.5 * log_variance) * randn(mean.shape, mean, generator)
            likelihood = diagonal_log_prob(x, self.decode(z), self.variance.current())
            ratio = standard_normal_log_prob(z) - diagonal_log_prob(z, mean, log_variance)
            log_weights.append(likelihood + ratio)
        return math.log(importance_samples) - torch.stack(log_weights).logsumexp(0)

    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        return self.decode(temperature * randn((n, self.latent), self._reference(), generator))
