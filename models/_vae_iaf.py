"""VAE whose posterior is an inverse autoregressive flow."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ._checks import check_int
from ._gaussian import decoder_variance, standard_normal_log_prob
from ._made import MADE
from ._registry import VECTOR, by_side, register
from ._vae import PAPER as VAE_PAPER
from ._vae import QUICK as VAE_QUICK
from ._vae_base import Code, LatentVariableModel

QUICK = {
    **{
        side: {**VAE_QUICK[side], "flows": 2, "flow_hidden": 64, "context": 16}
        for side in (VECTOR, 8, 16)
    },
    28: {**VAE_QUICK[28], "flows": 2, "flow_hidden": 128, "context": 32},
    32: {**VAE_QUICK[32], "flows": 2, "flow_hidden": 256, "context": 64},
    64: {**VAE_QUICK[64], "flows": 2, "flow_hidden": 256, "context": 64},
}
"""The VAE's defaults by image side, and two steps that are cheap beside its nets."""

PAPER = {
    side: {**entry, "flows": 4, "flow_hidden": 512, "context": entry["latent"]}
    for side, entry in VAE_PAPER.items()
}
"""The VAE's published widths and latents by image side, and four wide steps."""

_GATE_BIAS = 1.5
_FIRST_SCALE = 0.1


@register("vae_iaf", quick=partial(by_side, QUICK), paper=partial(by_side, PAPER))
class VAEIAF(LatentVariableModel):
    r"""VAE with an inverse autoregressive flow as its posterior (Kingma et al., 2016).

    The encoder gives a diagonal Gaussian for :math:`z_0` and a context :math:`h`. Each step then
    mixes, by a gate :math:`g_t \in (0, 1)`,

    .. math:: z_t = g_t \odot z_{t-1} + (1 - g_t) \odot m_t, \quad
              g_t = \mathrm{sigmoid}(s_t + 1.5), \quad
              (m_t, s_t) = \mathrm{MADE}_t(z_{t-1}, h),

    and lowers :math:`\log q` by :math:`\sum \log g_t`; the order of the dimensions is reversed
    between the steps. The KL divergence is that of the one draw, with the path gradient of
    :math:`q(z_0|x)` (see ``Code.path_log_prob``). Samples as in ``VAE``.

    Args:
        shape: shape ``(C, H, W)`` of one image, or ``(D,)`` of a vector.
        net: ``"mlp"`` for vectors and small images or ``"conv"``.
        latent: dimensions of :math:`z`, >= 1.
        hidden: width of the MLP's layers or of the first convolution, >= 1.
        sigma: ``"learned"`` or ``"analytic"`` (see ``VAE``).
        flows: number of steps :math:`T`, >= 1.
        flow_hidden: width of the two hidden layers of each step's network, >= 1.
        context: dimensions of :math:`h`, >= 0.

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
        flows: int,
        flow_hidden: int,
        context: int,
    ) -> None:
        super().__init__(
            shape,
            net=net,
            latent=latent,
            hidden=hidden,
            variance=decoder_variance(sigma),
            context=check_int("context", context, 0),
        )
        flows = check_int("flows", flows, 1)
        flow_hidden = check_int("flow_hidden", flow_hidden, 1)
        self.flows = nn.ModuleList(
            _GatedStep(self.latent, flow_hidden, self.context) for _ in range(flows)
        )

    def _latents(
        self, x: Tensor, code: Code, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        first = code.draw(generator)
        z, log_det = self._transform(first, code.context)
        return z, standard_normal_log_prob(z) - (code.path_log_prob(first) - log_det)

    def _transform(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """All steps: the last latents and the log-determinant, shape ``(N,)``."""
        log_det = z.new_zeros(len(z))
        for step in self.flows:
            z, step_log_det = step(z.flip(1), context)
            log_det = log_det + step_log_det
        return z, log_det


class _GatedStep(nn.Module):
    """One gated autoregressive step."""

    def __init__(self, dims: int, hidden: int, context: int) -> None:
        super().__init__()
        self.net = MADE(dims, hidden, context=context)
        # Near-constant gates and small shifts at first, as in the authors' code.
        with torch.no_grad():
            for parameter in self.net.last.parameters():
                parameter.mul_(_FIRST_SCALE)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = (out.to(z.dtype) for out in self.net(z, context))
        # A closing gate needs no bound: this direction never divides by it, and a gate near zero
        # costs the bound -log g, which training avoids.
        log_gate = logsigmoid(raw + _GATE_BIAS)
        gate = log_gate.exp()
        return gate * z + (1 - gate) * shift, log_gate.sum(1)
