"""VAE with a weight on the KL divergence."""

from functools import partial

from torch import Tensor

from ._checks import check_real
from ._gaussian import decoder_variance, kl_to_standard_normal
from ._registry import by_side, register
from ._vae import PAPER as VAE_PAPER
from ._vae import QUICK as VAE_QUICK
from ._vae_base import Code, LatentVariableModel

QUICK = {side: {**entry, "beta": 2.0} for side, entry in VAE_QUICK.items()}
"""The VAE's defaults by image side, with a weight that lowers the FID on small digits."""

PAPER = {side: {**entry, "beta": 2.0} for side, entry in VAE_PAPER.items()}
"""The VAE's published widths and latents by image side, with the same weight."""

_MIN_BETA = 1e-4


@register("beta_vae", quick=partial(by_side, QUICK), paper=partial(by_side, PAPER))
class BetaVAE(LatentVariableModel):
    r"""VAE trained on reconstruction + :math:`\beta \cdot` KL (Higgins et al., 2017).

    Above 1, the latents fit the prior better, from which ``sample`` draws; below 1,
    reconstructions are sharper.
    ``bits_per_dim`` is always the bound of the model itself, with weight 1 on the KL divergence;
    the weighted loss is no likelihood. Samples as in ``VAE``.

    With ``sigma="unit"`` the loss is the original one, of unit variance. It is
    :math:`\beta` times the negative ELBO of a decoder with :math:`\sigma^2 = \beta`, up to a
    constant, so that this is the variance that ``bits_per_dim`` uses.

    Args:
        shape: shape ``(C, H, W)`` of one image, or ``(D,)`` of a vector.
        net: ``"mlp"`` for vectors and small images or ``"conv"``.
        latent: dimensions of :math:`z`, >= 1.
        hidden: width of the MLP's layers or of the first convolution, >= 1.
        sigma: ``"learned"``, ``"analytic"`` (see ``VAE``) or ``"unit"``.
        beta: the weight, >= 1e-4; searched on a log scale from 1e-3 to 10. 1 is the VAE.

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
        beta: float,
    ) -> None:
        beta = check_real("beta", beta, _MIN_BETA)
        variance = decoder_variance(sigma, unit_evaluated_at=beta)
        super().__init__(shape, net=net, latent=latent, hidden=hidden, variance=variance)
        self.beta = beta

    def _penalty(self, code: Code, log_ratio: Tensor) -> Tensor:
        return self.beta * kl_to_standard_normal(code.mean, code.log_variance)
