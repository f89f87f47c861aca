"""Variational autoencoder with a Gaussian decoder of one shared variance."""

from functools import partial

from torch import Tensor

from ._gaussian import decoder_variance, kl_to_standard_normal
from ._registry import VECTOR, by_side, register
from ._vae_base import Code, LatentVariableModel

_MLP = {"net": "mlp", "latent": 8, "hidden": 128, "sigma": "analytic"}

QUICK = {
    VECTOR: _MLP | {"latent": 4, "hidden": 64},
    8: _MLP,
    16: {"net": "conv", "latent": 32, "hidden": 32, "sigma": "analytic"},
    28: {"net": "conv", "latent": 16, "hidden": 32, "sigma": "analytic"},
    32: {"net": "conv", "latent": 128, "hidden": 48, "sigma": "analytic"},
    64: {"net": "conv", "latent": 128, "hidden": 48, "sigma": "analytic"},
}
"""Defaults by image side, quick to train."""

PAPER = {
    VECTOR: _MLP | {"latent": 4, "hidden": 64},
    8: _MLP,
    16: {"net": "conv", "latent": 64, "hidden": 64, "sigma": "analytic"},
    28: {"net": "conv", "latent": 16, "hidden": 128, "sigma": "analytic"},
    32: {"net": "conv", "latent": 256, "hidden": 128, "sigma": "analytic"},
    64: {"net": "conv", "latent": 64, "hidden": 128, "sigma": "analytic"},
}
"""Widths and latents of the published VAEs by image side."""


@register("vae", quick=partial(by_side, QUICK), paper=partial(by_side, PAPER))
class VAE(LatentVariableModel):
    r"""Variational autoencoder, :math:`p(x|z) = N(x; \mu(z), \sigma^2 I)`, :math:`p(z) = N(0, I)`.

    The encoder's log-variance is bounded to [-10, 10]; outside, only the gradient that leads back
    in passes. The decoder's mean is linear and unbounded, because mollified targets leave
    [-1, 1]. ``sample`` returns that MEAN at ``z ~ N(0, temperature^2 I)``, without pixel noise;
    of vectors a draw of the decoder, with its noise.

    Args:
        shape: shape ``(C, H, W)`` of one image, or ``(D,)`` of a vector.
        net: ``"mlp"`` for vectors and small images or ``"conv"``.
        latent: dimensions of :math:`z`, >= 1.
        hidden: width of the MLP's layers or of the first convolution, >= 1.
        sigma: ``"learned"``, one shared parameter, or ``"analytic"``, the mean squared error of
            the batch in training and its running mean in evaluation (sigma-VAE).

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, shape: tuple[int, ...], *, net: str, latent: int, hidden: int, sigma: str
    ) -> None:
        super().__init__(
            shape, net=net, latent=latent, hidden=hidden, variance=decoder_variance(sigma)
        )

    def _penalty(self, code: Code, log_ratio: Tensor) -> Tensor:
        return kl_to_standard_normal(code.mean, code.log_variance)
