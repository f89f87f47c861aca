"""What the VAE family shares: an encoder, a Gaussian decoder and importance-weighted bounds."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ._base import GenerativeModel
from ._checks import check_choice, check_int
from ._clamp import clamp_inward
from ._gaussian import (
    DecoderVariance,
    diagonal_log_prob,
    shared_log_prob,
    squared_errors,
    standard_normal_log_prob,
)
from ._precision import full_precision
from ._random import randn
from ._vae_nets import conv_nets, mlp_nets

_NETS = {"conv": conv_nets, "mlp": mlp_nets}
_LOG_VARIANCE_BOUND = 10.0


class Code(NamedTuple):
    """What the encoder says about a batch: a diagonal Gaussian, and what else a model asks for.

    Attributes:
        mean: shape ``(N, latent)``.
        log_variance: shape ``(N, latent)``.
        context: shape ``(N, context)``.
    """

    mean: Tensor
    log_variance: Tensor
    context: Tensor

    def draw(self, generator: torch.Generator | None) -> Tensor:
        """One reparameterised draw of the Gaussian per row, shape ``(N, latent)``."""
        noise = randn(self.mean.shape, self.mean, generator)
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of the Gaussian, ``(N, latent)`` to ``(N,)``, in nats."""
        return diagonal_log_prob(z, self.mean, self.log_variance)

    def path_log_prob(self, z: Tensor) -> Tensor:
        """The same number, with the gradient that goes through ``z`` alone.

        The rest of it, the score, has mean zero at ``z`` drawn from this very Gaussian, and only
        adds noise to the gradient of a mean of log densities (Roeder et al., 2017).
        """
        return diagonal_log_prob(z, self.mean.detach(), self.log_variance.detach())


class LatentVariableModel(GenerativeModel):
    r"""A model :math:`p(x|z) = N(x; \mu(z), \sigma^2 I)`, :math:`p(z) = N(0, I)`.

    A subclass says how latents are proposed (``_latents``) and what the loss makes of them
    (``_penalty``, or ``loss`` itself); evaluation and sampling stand here.

    Args:
        shape: shape ``(C, H, W)`` of one image, or ``(D,)`` of a vector.
        net: ``"mlp"``, or for images ``"conv"``.
        latent: dimensions of :math:`z`, >= 1.
        hidden: width of the nets, >= 1.
        variance: the decoder's :math:`\sigma^2`.
        context: what the encoder puts out besides mean and log-variance, in dimensions.

    Raises:
        ValueError: an argument is out of range, or ``net`` does not fit the shape.
    """

    vectors = True

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        net: str,
        latent: int,
        hidden: int,
        variance: DecoderVariance,
        context: int = 0,
    ) -> None:
        super().__init__(shape)
        self.latent, self.context = check_int("latent", latent, 1), context
        make = _NETS[check_choice("net", net, _NETS if self._is_image else ("mlp",))]
        hidden = check_int("hidden", hidden, 1)
        self.encoder, self.decoder = make(self.shape, self.latent, hidden, context)
        self.variance = variance

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the encoder's Gaussian, each of shape ``(N, latent)``."""
        mean, log_variance, _ = self._code(x)
        return mean, log_variance

    @torch.no_grad()
    def codes(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw from the posterior of each image, ``(N, C, H, W)`` to ``(N, latent)``."""
        z, _ = self._latents(x, self._code(x), generator)
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Mean of ``p(x|z)``: shape ``(N, latent)`` to ``(N, C, H, W)``, unbounded."""
        mean: Tensor = self.decoder(z).to(z.dtype)
        return mean

    def render(
        self, z: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """What ``sample`` makes of codes, ``(N, latent)`` to ``(N, *shape)``, not yet clamped.

        Of images it is the decoder's mean, which is what is looked at. A vector is a draw of the
        density, with the decoder's noise.
        """
        mean = self.decode(z)
        if self._is_image:
            return mean
        noise = randn(mean.shape, mean, generator)
        return mean + temperature * torch.exp(0.5 * self.variance.current()) * noise

    def loss(self, x: Tensor) -> Tensor:
        """The negative ELBO in nats per dimension, one draw of ``z`` per image.

        In training mode the analytic variance is fitted to this very batch; in evaluation mode
        its running mean is used, as in ``bits_per_dim``.
        """
        code = self._code(self._checked(x))
        z, log_ratio = self._latents(x, code, None)
        bound = self._reconstruction(x, z) - self._penalty(code, log_ratio)
        return -bound.mean() / self.dims

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
        with full_precision(x):
            return self._bits(self._nll(self._checked(x), generator, importance_samples))

    def _code(self, x: Tensor) -> Code:
        # Mixed precision ends at the network's output; densities keep the data's dtype.
        out = self.encoder(x).to(x.dtype)
        mean, log_variance, context = out.split((self.latent, self.latent, self.context), dim=1)
        bounded = clamp_inward(log_variance, -_LOG_VARIANCE_BOUND, _LOG_VARIANCE_BOUND)
        return Code(mean, bounded, context)

    def _latents(
        self, x: Tensor, code: Code, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Draws latents from ``q``; returns them and ``log p(z) - log q(z|x)``, shape ``(N,)``."""
        z = code.draw(generator)
        return z, standard_normal_log_prob(z) - code.path_log_prob(z)

    def _penalty(self, code: Code, log_ratio: Tensor) -> Tensor:
        """What the loss adds to the reconstruction: the KL divergence, here by the one draw."""
        return -log_ratio

    def _reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """``log p(x|z)`` in training, shape ``(N,)``, in nats."""
        squares = squared_errors(x, self.decode(z))
        return shared_log_prob(squares, self.variance.fitted(squares, self.dims), self.dims)

    def _nll(
        self, x: Tensor, generator: torch.Generator | None, importance_samples: int = 1
    ) -> Tensor:
        code = self._code(x)
        log_weights = [self._log_weight(x, code, generator) for _ in range(importance_samples)]
        return math.log(importance_samples) - torch.stack(log_weights).logsumexp(0)

    def _log_weight(self, x: Tensor, code: Code, generator: torch.Generator | None) -> Tensor:
        z, log_ratio = self._latents(x, code, generator)
        squares = squared_errors(x, self.decode(z))
        return shared_log_prob(squares, self.variance.current(), self.dims) + log_ratio

    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        z = temperature * randn((n, self.latent), self._reference(), generator)
        return self.render(z, generator, temperature)
