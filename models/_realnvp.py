"""Real NVP: a multi-scale flow of affine couplings, and one of a single scale for vectors."""

from collections.abc import Iterator
from functools import partial

from torch import nn

from ._actnorm import ActNorm
from ._checks import check_int
from ._coupling import AffineCoupling, TanhScale
from ._coupling_nets import MLP, ResNet
from ._multiscale import Chain, MultiscaleFlow, Rearrange, by_side_halved, check_scales
from ._registry import VECTOR, register
from ._squeeze import pack_checkerboard, squeeze, unpack_checkerboard, unsqueeze

_VECTORS = {"scales": 5, "hidden": 100, "blocks": 1}
"""Ten couplings, the larger one of the sizes that Papamakarios et al. (2017) give for tables."""

QUICK = {
    VECTOR: _VECTORS,
    8: {"scales": 2, "hidden": 32, "blocks": 1},
    28: {"scales": 2, "hidden": 32, "blocks": 2},
    32: {"scales": 2, "hidden": 32, "blocks": 2},
    64: {"scales": 3, "hidden": 32, "blocks": 2},
}
"""Defaults by image side, quick to train."""

PAPER = {
    VECTOR: _VECTORS,
    8: {"scales": 2, "hidden": 32, "blocks": 2},
    28: {"scales": 2, "hidden": 64, "blocks": 8},
    32: {"scales": 2, "hidden": 64, "blocks": 8},
    64: {"scales": 5, "hidden": 32, "blocks": 2},
}
"""Near the published size by image side; minutes per epoch on a GPU."""
_COUPLINGS = 3
_LAST_COUPLINGS = 4


_scaled = partial(by_side_halved, name="scales")


@register("realnvp", quick=partial(_scaled, QUICK), paper=partial(_scaled, PAPER))
class RealNVP(MultiscaleFlow):
    """Real NVP (Dinh et al., 2017) with a standard normal base.

    Each scale but the last: three checkerboard couplings, squeeze, three channel couplings, and
    half of the channels leave as latents. The last scale: four checkerboard couplings. The halves
    take turns. There is no BatchNorm, the log-scale of a coupling is bounded (see
    ``TanhScale``), and the flow starts as a permutation of the pixels.

    A vector passes ``2 * scales`` couplings between its first and its second half, each behind an
    ActNorm, as the normalisation layers of Papamakarios et al. (2017); nothing leaves before the
    end.

    Args:
        shape: shape ``(C, H, W)`` of one image, its sides divisible by ``2**scales``; or ``(D,)``
            of a vector, D >= 2.
        scales: number of scales, >= 1; of a vector, pairs of couplings.
        hidden: width of the coupling networks, >= 1.
        blocks: residual blocks per coupling network, >= 0; of a vector, further hidden layers.

    Raises:
        ValueError: an argument is out of range.
    """

    vectors = True

    actnorm_init = "mollified"  # as in `MAF`; images pass none

    def __init__(self, shape: tuple[int, ...], *, scales: int, hidden: int, blocks: int) -> None:
        super().__init__(shape)
        hidden, blocks = check_int("hidden", hidden, 1), check_int("blocks", blocks, 0)
        if not self._is_image:
            self.scales = nn.ModuleList()
            pairs = check_int("scales", scales, 1)
            self.last = Chain(_of_vectors(self.dims, hidden, blocks, 2 * pairs))
            return
        scales = check_scales("scales", scales, self.shape)
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


def _of_vectors(dims: int, hidden: int, blocks: int, length: int) -> Iterator[nn.Module]:
    """Affine couplings between the halves of a vector that take turns, each behind an ActNorm."""
    if dims < 2:
        raise ValueError(f"couplings need vectors of at least 2 dimensions, got {dims}")
    second = dims // 2
    for k in range(length):
        seen, moved = (second, dims - second) if k % 2 else (dims - second, second)
        yield ActNorm(dims, spatial=0)
        net = MLP(seen, hidden, 2 * moved, blocks)
        yield AffineCoupling(net, TanhScale(moved, spatial=0), flip=k % 2 == 1)
