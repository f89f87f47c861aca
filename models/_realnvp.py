"""Real NVP: a multi-scale flow of affine couplings."""

import math
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from ._checks import Shape, check_int
from ._coupling import AffineCoupling, TanhScale
from ._coupling_nets import ResNet
from ._flow import Flow
from ._registry import by_side, register
from ._squeeze import halvings, pack_checkerboard, squeeze, unpack_checkerboard, unsqueeze

QUICK = {
    8: {"scales": 2, "hidden": 32, "blocks": 1},
    28: {"scales": 2, "hidden": 32, "blocks": 2},
    32: {"scales": 2, "hidden": 32, "blocks": 2},
    64: {"scales": 3, "hidden": 32, "blocks": 2},
}
"""Defaults by image side, quick to train."""

PAPER = {
    8: {"scales": 2, "hidden": 32, "blocks": 2},
    28: {"scales": 2, "hidden": 64, "blocks": 8},
    32: {"scales": 2, "hidden": 64, "blocks": 8},
    64: {"scales": 5, "hidden": 32, "blocks": 2},
}
"""Near the published size by image side; minutes per epoch on a GPU."""

_COUPLINGS = 3
_LAST_COUPLINGS = 4


def _preset(table: dict[int, dict[str, int]], shape: Shape) -> dict[str, Any]:
    """The table's entry, with no more scales than the sides can be halved."""
    entry = by_side(table, shape)
    return entry | {"scales": max(1, min(entry["scales"], halvings(shape)))}


@register("realnvp", quick=partial(_preset, QUICK), paper=partial(_preset, PAPER))
class RealNVP(Flow):
    """Real NVP (Dinh et al., 2017) with a standard normal base.

    Each scale but the last: three checkerboard couplings, squeeze, three channel couplings, and
    half of the channels leave as latents. The last scale: four checkerboard couplings. The halves
    take turns. There is no BatchNorm, the log-scale of a coupling is bounded (see
    ``TanhScale``), and the flow starts as a permutation of the pixels.

    Args:
        shape: shape ``(C, H, W)`` of one image; sides divisible by ``2**scales``.
        scales: number of scales, >= 1.
        hidden: width of the coupling networks, >= 1.
        blocks: residual blocks per coupling network, >= 0.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, scales: int, hidden: int, blocks: int
    ) -> None:
        super().__init__(shape)
        scales = check_int("scales", scales, 1)
        hidden, blocks = check_int("hidden", hidden, 1), check_int("blocks", blocks, 0)
        channels, height, width = self.shape
        if height % 2**scales or width % 2**scales:
            raise ValueError(
                f"scales={scales} needs sides divisible by {2**scales}, got {height}x{width}"
            )
        self.scales = nn.ModuleList(
            _Scale(channels * 2**i, hidden, blocks) for i in range(scales - 1)
        )
        self.last = _Chain(channels * 2 ** (scales + 1), hidden, blocks, _LAST_COUPLINGS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent; the latents of the first scale come first (see ``Flow.forward``)."""
        h, log_det, latents = self._checked(x), x.new_zeros(len(x)), []
        for scale in self.scales:
            h, z, scale_log_det = scale(h)
            latents.append(z.flatten(1))
            log_det = log_det + scale_log_det
        h, last_log_det = self.last(pack_checkerboard(h))
        latents.append(h.flatten(1))
        return torch.cat(latents, dim=1), log_det + last_log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data (see ``Flow.inverse``)."""
        z = self._checked_latents(z)
        channels, height, width = self.shape
        # Shape of the latents that leave each scale; the last scale's are packed once more.
        shapes = [(channels << i, height >> i, width >> i) for i in range(1, len(self.scales) + 1)]
        levels = len(self.scales) + 1
        shapes.append((channels << (levels + 1), height >> levels, width >> levels))
        parts = torch.split(z, [math.prod(shape) for shape in shapes], dim=1)
        *latents, h = (part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True))
        h = unpack_checkerboard(self.last.inverse(h))
        for scale, latent in zip(reversed(self.scales), reversed(latents), strict=True):
            h = cast("_Scale", scale).inverse(h, latent)
        return h


class _Chain(nn.Module):
    """Affine couplings between channel halves that take turns."""

    def __init__(self, channels: int, hidden: int, blocks: int, length: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(
            AffineCoupling(
                ResNet(channels // 2, hidden, channels, blocks),
                TanhScale(channels // 2),
                flip=k % 2 == 1,
            )
            for k in range(length)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        for coupling in self.couplings:
            x, coupling_log_det = coupling(x)
            log_det = log_det + coupling_log_det
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        for coupling in reversed(self.couplings):
            z = cast("AffineCoupling", coupling).inverse(z)
        return z


class _Scale(nn.Module):
    """Checkerboard couplings, squeeze, channel couplings; then half of the channels leave."""

    def __init__(self, channels: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.checkerboard = _Chain(4 * channels, hidden, blocks, _COUPLINGS)
        self.channel = _Chain(4 * channels, hidden, blocks, _COUPLINGS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h, log_det = self.checkerboard(pack_checkerboard(x))
        h, channel_log_det = self.channel(squeeze(unpack_checkerboard(h)))
        kept, latent = h.chunk(2, dim=1)
        return kept, latent, log_det + channel_log_det

    def inverse(self, kept: Tensor, latent: Tensor) -> Tensor:
        h = unsqueeze(self.channel.inverse(torch.cat((kept, latent), dim=1)))
        return unpack_checkerboard(self.checkerboard.inverse(pack_checkerboard(h)))
