"""The affine coupling layer, and the bounds that keep its scale invertible."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ._clamp import clamp_inward

MAX_LOG_SCALE = 3.0
"""Bound on the absolute log-scale of one coupling: a factor of 20 at most."""

_SIGMOID_OFFSET = 2.0


class TanhScale(nn.Module):
    r"""The log-scale :math:`s = 3 \tanh(g) \tanh(h)`, with :math:`g` learned per channel.

    So :math:`|s| < 3` whatever the weights and the input, and neither direction can explode in
    one layer. A network that says 0 gives the log-scale 0.

    Args:
        channels: number of channels of :math:`h`.
        spatial: how many axes follow the channels' (2 for images, 0 for vectors).
    """

    def __init__(self, channels: int, spatial: int = 2) -> None:
        super().__init__()
        # At this value 3 tanh(g) is 1: the log-scale starts as a plain tanh.
        size = (channels, *(1,) * spatial)
        self.gain = nn.Parameter(torch.full(size, math.atanh(1 / MAX_LOG_SCALE)))

    def forward(self, raw: Tensor) -> Tensor:
        """Unbounded to bounded; same shape."""
        return MAX_LOG_SCALE * torch.tanh(self.gain) * torch.tanh(raw)


class SigmoidScale(nn.Module):
    r"""Glow's log-scale :math:`s = \log \sigma(h + 2)`, at least -3.

    Towards the latents it only shrinks, so without a floor the inverse would divide by numbers as
    small as the network likes, and samples would overflow although training looks healthy: on
    CIFAR-10, one in a thousand reached 1e29 with a floor of 1e-3 on the scale, 1e10 with this
    one, at the same loss. At the floor only the gradient that leads back passes.
    """

    def forward(self, raw: Tensor) -> Tensor:
        """Unbounded to bounded; same shape."""
        return clamp_inward(logsigmoid(raw + _SIGMOID_OFFSET), -MAX_LOG_SCALE)


class AffineCoupling(nn.Module):
    r"""Transforms one half of the channels by an affine map computed from the other half.

    With the halves :math:`a` and :math:`b` (exchanged if ``flip``), the map and its
    log-determinant are

    .. math:: a' = a, \quad b' = (b + t(a)) \exp(s(h(a))), \quad \log|\det| = \sum s(h(a))

    where :math:`h` and :math:`t` are the halves of the network's output. The network may run in
    lower precision (autocast); the map itself keeps the dtype of its input.

    Args:
        net: network from half of the channels to all of them, ``(N, C/2, ...)`` to
            ``(N, C, ...)``.
        scale: bounds the log-scale, ``TanhScale`` or ``SigmoidScale``.
        flip: transform the first half instead of the second.

    | Density estimation using Real NVP (Dinh et al., 2017)
    """

    def __init__(self, net: nn.Module, scale: nn.Module, *, flip: bool = False) -> None:
        super().__init__()
        self.flip = flip
        self.net = net
        self.scale = scale

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: returns the image of ``x`` and the log-determinant, shape ``(N,)``."""
        a, b = self._split(x)
        log_scale, shift = self._affine(a)
        return self._join(a, (b + shift) * log_scale.exp()), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data."""
        a, b = self._split(z)
        log_scale, shift = self._affine(a)
        return self._join(a, b * torch.exp(-log_scale) - shift)

    def _affine(self, a: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.net(a).to(a.dtype).chunk(2, dim=1)
        return self.scale(raw), shift

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, dim=1)
        return (second, first) if self.flip else (first, second)

    def _join(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cat((b, a) if self.flip else (a, b), dim=1)
