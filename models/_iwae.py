"""Importance-weighted autoencoder."""

import math
from functools import partial

import torch
from torch import Tensor

from ._checks import check_int
from ._gaussian import decoder_variance, shared_log_prob, squared_errors, standard_normal_log_prob
from ._registry import VECTOR, by_side, register
from ._vae import PAPER as VAE_PAPER
from ._vae import QUICK as VAE_QUICK
from ._vae_base import Code, LatentVariableModel

_OWN = {"samples": 5, "dreg": False}

QUICK = {
    **{side: {**VAE_QUICK[side], **_OWN} for side in (VECTOR, 8, 16, 28)},
    32: {**VAE_QUICK[32], **_OWN, "hidden": 32},
    64: {**VAE_QUICK[64], **_OWN, "hidden": 32},
}
"""The VAE's defaults by image side, narrower where five passes of the decoder would be slow."""

PAPER = {side: {**entry, **_OWN} for side, entry in VAE_PAPER.items()}
"""The VAE's published widths and latents by image side."""


@register("iwae", quick=partial(by_side, QUICK), paper=partial(by_side, PAPER))
class IWAE(LatentVariableModel):
    r"""Importance-weighted autoencoder (Burda et al., 2016): a VAE trained on :math:`L_K`.

    .. math:: L_K = \log \frac{1}{K} \sum_k w_k,
              \quad w_k = \frac{p(x|z_k) p(z_k)}{q(z_k|x)}, \quad z_k \sim q(z|x)

    The loss is the bound itself, :math:`-L_K`. The encoder runs once per batch, the decoder on
    all ``K * N`` latents at once. Samples as in ``VAE``.

    The more samples, the noisier the encoder's gradient against its size. ``dreg`` takes the
    doubly reparameterised estimator instead (Tucker et al., 2019), with the normalised weights
    :math:`\tilde w_k` squared and no score of :math:`q`:

    .. math:: \nabla_\phi L_K = \mathbb{E} \sum_k \tilde w_k^2
              \frac{\partial \log w_k}{\partial z_k} \frac{\partial z_k}{\partial \phi}

    It has the same expectation; the loss's value and the decoder's gradient stay as they are.

    Args:
        shape: shape ``(C, H, W)`` of one image, or ``(D,)`` of a vector.
        net: ``"mlp"`` for vectors and small images or ``"conv"``.
        latent: dimensions of :math:`z`, >= 1.
        hidden: width of the MLP's layers or of the first convolution, >= 1.
        sigma: ``"learned"`` or ``"analytic"``, here the mean squared error over all draws,
            without a gradient of its own (with one draw that gradient is zero anyway).
        samples: :math:`K` >= 1; 1 is the VAE with a sampled KL divergence.
        dreg: whether the encoder's gradient is doubly reparameterised.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        net: str,
        latent: int,
        hidden: int,
        sigma: str,
        samples: int,
        dreg: bool,
    ) -> None:
        super().__init__(
            shape, net=net, latent=latent, hidden=hidden, variance=decoder_variance(sigma)
        )
        self.samples = check_int("samples", samples, 1)
        if not isinstance(dreg, bool):
            raise ValueError(f"dreg must be true or false, got {dreg!r}")
        self.dreg = dreg

    def loss(self, x: Tensor) -> Tensor:
        """The negative bound of ``samples`` draws per image, in nats per dimension."""
        code = self._code(self._checked(x))
        code = Code(*(part.repeat(self.samples, 1) for part in code))
        z = code.draw(None)
        log_q = code.path_log_prob(z) if self.dreg else code.log_prob(z)
        log_weights = self._reconstruction(x, z) + standard_normal_log_prob(z) - log_q
        log_weights = log_weights.unflatten(0, (self.samples, -1))
        if self.dreg and z.requires_grad:
            # The bound itself weights this gradient once; the square is made here.
            weights = log_weights.detach().softmax(0).flatten()[:, None]
            z.register_hook(lambda gradient: weights * gradient)
        bound: Tensor = log_weights.logsumexp(0) - math.log(self.samples)
        return -bound.mean() / self.dims

    @torch.no_grad()
    def bits_per_dim(
        self,
        x: Tensor,
        generator: torch.Generator | None = None,
        *,
        importance_samples: int | None = None,
    ) -> Tensor:
        """As for every VAE, but with this model's own ``samples`` draws if no number is given."""
        count = self.samples if importance_samples is None else importance_samples
        return super().bits_per_dim(x, generator, importance_samples=count)

    def _reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """As for every VAE, for all draws of each image, those of the first draw first."""
        squares = squared_errors(x, self.decode(z).unflatten(0, (self.samples, -1))).flatten()
        # The mean squared error maximises the mean likelihood, not the bound of several draws.
        # Its gradient vanishes for the former only, so it is left out for the latter.
        log_variance = self.variance.fitted(squares.detach(), self.dims)
        return shared_log_prob(squares, log_variance, self.dims)
