"""Real NVP: a multi-scale flow of affine couplings."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from ._base import GenerativeModel
from ._checks import Shape, check_int
from ._coupling import AffineCoupling
from ._gaussian import standard_normal_log_prob
from ._random import randn
from ._registry import by_side, register
from ._squeeze import pack_checkerboard, squeeze, unpack_checkerboard, unsqueeze

PRESETS = {
    8: {"scales": 2, "hidden": 32, "blocks": 1},
    28: {"scales": 2, "hidden": 32, "blocks": 2},
    32: {"scales": 2, "hidden": 32, "blocks": 2},
    64: {"scales": 3, "hidden": 32, "blocks": 2},
}
"""Default hyperparameters by image side; quick to train.

``hidden=64, blocks=8`` is near the published size.
"""

_COUPLINGS = 3
_LAST_COUPLINGS = 4


def _preset(shape: Shape) -> dict[str, Any]:
    """The table's entry, with no more scales than the sides can be halved."""
    entry = by_side(PRESETS, shape)
    side = math.gcd(*shape[1:])
    halvings = (side & -side).bit_length() - 1
    return entry | {"scales": max(1, min(entry["scales"], halvings))}


@register("realnvp", preset=_preset)
class RealNVP(GenerativeModel):
    """Real NVP (Dinh et al., 2017) with a standard normal base.

    Each scale but the last: three checkerboard couplings, squeeze, three channel couplings, and
    half of the channels leave as latents. The last scale: four checkerboard couplings. The halves
    take turns. There is no BatchNorm, the log-scale of a coupling is bounded (see
    ``AffineCoupling``), and the flow starts as a permutation of the pixels.

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
        """Data to latent.

        Args:
            x: shape ``(N, C, H, W)``.

        Returns:
            Latents ``z``, shape ``(N, D)``, those of the first scale first, and the log of the
            absolute Jacobian determinant of ``z`` in ``x``, shape ``(N,)``.
        """
        h, log_det, latents = self._checked(x), x.new_zeros(len(x)), []
        for scale in self.scales:
            h, z, scale_log_det = scale(h)
            latents.append(z.flatten(1))
            log_det = log_det + scale_log_det
        h, last_log_det = self.last(pack_checkerboard(h))
        latents.append(h.flatten(1))
        return torch.cat(latents, dim=1), log_det + last_log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data: shape ``(N, D)`` to ``(N, C, H, W)``, unbounded.

        Raises:
            ValueError: ``z`` does not have shape ``(N, D)``.
        """
        if z.ndim != 2 or z.shape[1] != self.dims:
            raise ValueError(f"z must have shape (N, {self.dims}), got {tuple(z.shape)}")
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

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density in the model's space, in nats: ``(N, C, H, W)`` to ``(N,)``."""
        z, log_det = self(x)
        log_prob: Tensor = standard_normal_log_prob(z) + log_det
        return log_prob

    def loss(self, x: Tensor) -> Tensor:
        """The exact negative log-likelihood in nats per dimension; no randomness is used."""
        return -self.log_prob(x).mean() / self.dims

    def _nll(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return -self.log_prob(x)

    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        return self.inverse(temperature * randn((n, self.dims), self._reference(), generator))


class _Chain(nn.Module):
    """Affine couplings between channel halves that take turns."""

    def __init__(self, channels: int, hidden: int, blocks: int, length: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(
            AffineCoupling(channels, hidden, blocks, flip=k % 2 == 1) for k in range(length)
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
