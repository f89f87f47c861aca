"""Real NVP: a multi-scale flow of affine couplings."""

from functools import partial

from torch import nn

from ._checks import check_int
from ._coupling import AffineCoupling, TanhScale
from ._coupling_nets import ResNet
from ._multiscale import Chain, MultiscaleFlow, Rearrange, by_side_halved, check_scales
from ._registry import register
from ._squeeze import pack_checkerboard, squeeze, unpack_checkerboard, unsqueeze

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


@register(
    "realnvp",
    quick=partial(by_side_halved, QUICK, "scales"),
    paper=partial(by_side_halved, PAPER, "scales"),
)
class RealNVP(MultiscaleFlow):
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
        scales = check_scales("scales", scales, self.shape)
        hidden, blocks = check_int("hidden", hidden, 1), check_int("blocks", blocks, 0)
        # After the squeeze, or packing, of each scale.
        *channels, last = (self.shape[0] << (scale + 2) for scale in range(scales))
        self.scales = nn.ModuleList(_scale(width, hidden, blocks) for width in channels)
        couplings = _couplings(last, hidden, blocks, _LAST_COUPLINGS)
        self.last = Chain([Rearrange(pack_checkerboard, unpack_checkerboard), couplings])


def _scale(channels: int, hidden: int, blocks: int) -> Chain:
    """Checkerboard couplings, squeeze, channel couplings."""
    return Chain(
        [
            Rearrange(pack_checkerboard, unpack_checkerboard),
            _couplings(channels, hidden, blocks, _COUPLINGS),
            Rearrange(unpack_checkerboard, pack_checkerboard),
            Rearrange(squeeze, unsqueeze),
            _couplings(channels, hidden, blocks, _COUPLINGS),
        ]
    )


def _couplings(channels: int, hidden: int, blocks: int, length: int) -> Chain:
    """Affine couplings between channel halves that take turns."""
    half = channels // 2
    return Chain(
        AffineCoupling(ResNet(half, hidden, channels, blocks), TanhScale(half), flip=k % 2 == 1)
        for k in range(length)
    )
