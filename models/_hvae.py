"""Hamiltonian VAE: latents that follow the posterior's own gradient."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from ._checks import check_choice, check_int, check_real
from ._gaussian import decoder_variance, shared_log_prob, squared_errors, standard_normal_log_prob
from ._leapfrog import leapfrog
from ._random import randn
from ._registry import VECTOR, by_side, register
from ._tempering import make_tempering
from ._vae import PAPER as VAE_PAPER
from ._vae import QUICK as VAE_QUICK
from ._vae_base import Code, LatentVariableModel

_OWN = {"leapfrog": 1, "tempering": "fixed", "step_size": 0.2, "mass": "encoder"}

QUICK = {
    **{side: {**VAE_QUICK[side], **_OWN} for side in (VECTOR, 8, 16, 28)},
    32: {**VAE_QUICK[32], **_OWN, "hidden": 32},
    64: {**VAE_QUICK[64], **_OWN, "hidden": 32},
}
"""The VAE's defaults by image side, narrower where the decoder's gradients would be slow."""

PAPER = {side: {**entry, **_OWN, "leapfrog": 3} for side, entry in VAE_PAPER.items()}
"""The VAE's published widths and latents by image side, and three leapfrog steps."""

_MASSES = ("encoder", "identity")
_MAX_STEP_SIZE = 0.5


@register("hvae", quick=partial(by_side, QUICK), paper=partial(by_side, PAPER))
class HVAE(LatentVariableModel):
    r"""Hamiltonian VAE (Caterini, Doucet and Sejdinovic, 2018), not a hierarchical one.

    The encoder proposes :math:`z_0 \sim q(z_0|x)`; a momentum :math:`p_0 = \sqrt{T_0} \, \xi`,
    :math:`\xi \sim N(0, I)`, joins it, and :math:`K` tempered leapfrog steps (see ``leapfrog``)
    on :math:`U(z) = -\log p(x|z) + |z|^2 / 2` carry both towards the posterior. The bound is the
    ELBO of the pair, with the target :math:`p(x|z_K) N(z_K; 0, I) N(p_K; 0, I)`. For :math:`L`
    latent dimensions the density of :math:`p_0` is :math:`T_0^{-L/2} N(\xi; 0, I)`, and the map's
    determinant is :math:`\prod_k a_k^L = T_0^{-L/2}`. The two cancel in

    .. math:: \log q(z_K, p_K|x) = \log q(z_0|x) + \log N(\xi; 0, I).

    The path gradient (see ``Code.path_log_prob``) is taken of the first term. Exact dynamics keep
    the energy and with it the ELBO: what tightens the bound is the cooling.

    Whatever :math:`U` is, this is a bound, so that it may use the decoder's variance of the last
    steps instead of this batch's, which would tie the images of a batch together.

    :math:`U` gets steeper as :math:`1 / \sigma^2` when the noise of mollified data falls, and a
    step size that was stable no longer is. With ``mass="encoder"`` the dynamics run in
    coordinates scaled by the encoder's standard deviations, which shrink along with the
    posterior; the paper's are those of ``mass="identity"``. Step sizes are learned, one per
    dimension, between 0 and .5. ``sample`` as in ``VAE``.

    A step costs ``leapfrog + 1`` gradients of the decoder, and their gradients.

    Args:
        shape: shape ``(C, H, W)`` of one image, or ``(D,)`` of a vector.
        net: ``"mlp"`` for vectors and small images or ``"conv"``.
        latent: dimensions of :math:`z`, >= 1.
        hidden: width of the MLP's layers or of the first convolution, >= 1.
        sigma: ``"learned"`` or ``"analytic"`` (see ``VAE``).
        leapfrog: number of steps :math:`K`, >= 1.
        tempering: ``"none"``, ``"fixed"`` (quadratic, with a learned :math:`T_0`) or ``"free"``
            (a learned factor per step).
        step_size: first value of all step sizes, in (0, .5).
        mass: ``"encoder"`` or ``"identity"``.

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
        leapfrog: int,
        tempering: str,
        step_size: float,
        mass: str,
    ) -> None:
        super().__init__(
            shape, net=net, latent=latent, hidden=hidden, variance=decoder_variance(sigma)
        )
        self.tempering = make_tempering(tempering, check_int("leapfrog", leapfrog, 1))
        self.mass = check_choice("mass", mass, _MASSES)
        share = _check_step_size(step_size) / _MAX_STEP_SIZE
        self.raw_step = nn.Parameter(torch.full((self.latent,), math.log(share / (1 - share))))

    def _latents(
        self, x: Tensor, code: Code, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        first = code.draw(generator)
        noise = randn(first.shape, first, generator)
        factors = self.tempering.factors()
        z, momentum = leapfrog(
            first, noise / factors.prod(), partial(self._force, x), self._steps(code), factors
        )
        log_p = standard_normal_log_prob(z) + standard_normal_log_prob(momentum)
        return z, log_p - (code.path_log_prob(first) + standard_normal_log_prob(noise))

    def _steps(self, code: Code) -> Tensor:
        """Step sizes; in scaled coordinates those of z and p are both scaled once."""
        steps = _MAX_STEP_SIZE * self.raw_step.sigmoid()
        return steps * torch.exp(0.5 * code.log_variance) if self.mass == "encoder" else steps

    def _force(self, x: Tensor, z: Tensor) -> Tensor:
        """Gradient of the log of the target density in ``z``, shape ``(N, latent)``."""
        log_variance = self.variance.current()

        def log_target(z: Tensor) -> Tensor:
            squares = squared_errors(x, self.decode(z))
            likelihood = shared_log_prob(squares, log_variance, self.dims)
            return (likelihood + standard_normal_log_prob(z)).sum()

        # Unlike torch.autograd.grad, this also works without gradients and inside vmap.
        gradient: Tensor = torch.func.grad(log_target)(z)
        return gradient


def _check_step_size(step_size: object) -> float:
    value = check_real("step_size", step_size, 0)
    if not 0 < value < _MAX_STEP_SIZE:
        raise ValueError(f"step_size must be in (0, {_MAX_STEP_SIZE:g}), got {step_size!r}")
    return value
