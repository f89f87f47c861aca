"""The affine coupling layer and its network."""

import math

import torch
from torch import Tensor, nn

MAX_LOG_SCALE = 3.0
"""Bound on the absolute log-scale of one coupling: a factor of 20 at most, either way."""


class AffineCoupling(nn.Module):
    r"""Transforms one half of the channels by an affine map computed from the other half.

    With the halves :math:`a` and :math:`b` (exchanged if ``flip``), the map and its
    log-determinant are

    .. math:: a' = a, \quad b' = (b + t(a)) \exp(s(a)), \quad \log|\det| = \sum s(a),
        \quad s = 3 \tanh(g) \tanh(h(a))

    where :math:`h` and :math:`t` come from a residual network and :math:`g` is learned per
    channel. So :math:`|s| < 3` whatever the weights and the input, and neither direction can
    explode in one layer. The network's last convolution starts at zero: the layer starts as the
    identity.

    Args:
        channels: number of channels :math:`C` of the input, even.
        hidden: width of the network.
        blocks: residual blocks of the network.
        flip: transform the first half instead of the second.
    """

    def __init__(self, channels: int, hidden: int, blocks: int, *, flip: bool) -> None:
        super().__init__()
        half = channels // 2
        self.flip = flip
        self.net = _ResNet(half, hidden, 2 * half, blocks)
        # At this value 3 tanh(g) is 1: the log-scale starts as a plain tanh.
        self.gain = nn.Parameter(torch.full((half, 1, 1), math.atanh(1 / MAX_LOG_SCALE)))

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
        raw, shift = self.net(a).chunk(2, dim=1)
        return MAX_LOG_SCALE * torch.tanh(self.gain) * torch.tanh(raw), shift

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, dim=1)
        return (second, first) if self.flip else (first, second)

    def _join(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cat((b, a) if self.flip else (a, b), dim=1)


class _ResNet(nn.Module):
    """Plain pre-activation residual network, without any normalisation, that starts at zero.

    A block is one convolution; on the digits a second one in each cost time and gained nothing.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(hidden, hidden, 3, padding=1) for _ in range(blocks))
        self.last = nn.Conv2d(hidden, outputs, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.first(x)
        for block in self.blocks:
            h = h + block(torch.relu(h))
        out: Tensor = self.last(torch.relu(h))
        return out
