"""Masked autoregressive flow, for vectors and for images as vectors."""

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from ._actnorm import ActNorm
from ._checks import check_choice, check_int
from ._coupling import TanhScale
from ._flow import ACTNORM_INITS, Flow
from ._made import MADE
from ._registry import VECTOR, by_side, register

_VECTORS = {"blocks": 5, "hidden": 64}
"""Five blocks as published; of a table with few rows a wider one learns each by heart."""

QUICK = {
    VECTOR: _VECTORS,
    8: {"blocks": 5, "hidden": 256},
    28: {"blocks": 5, "hidden": 512},
    32: {"blocks": 3, "hidden": 512},
}
"""Defaults by image side, quick to train."""

PAPER = {
    VECTOR: _VECTORS,
    8: {"blocks": 5, "hidden": 512},
    28: {"blocks": 5, "hidden": 1024},
    32: {"blocks": 5, "hidden": 1024},
}
"""Wider than the published ones of vectors, by image side."""
_SETTLED_ULPS = 8
_OVERFLOW = 1e18


@register("maf", quick=partial(by_side, QUICK), paper=partial(by_side, PAPER))
class MAF(Flow):
    """Masked autoregressive flow (Papamakarios et al., 2017) with a standard normal base.

    Each block: ActNorm per dimension, then an affine map of every dimension given the ones
    before it, then the order of the dimensions is reversed. An image is read as a vector, channel
    by channel and row by row. Densities cost one pass; ``sample`` and ``inverse`` iterate (see
    ``inverse``), at most ``D`` times per block.

    Args:
        shape: shape ``(D,)`` of one vector, or ``(C, H, W)`` of one image.
        blocks: number of blocks, >= 1.
        hidden: width of the two hidden layers of each block's network, >= 1.
        actnorm_init: ``"clean"`` or ``"mollified"``: the data that ``initialise`` fits ActNorm
            to. A pixel that hardly varies in clean data would blow the noise up: ``mollified``
            is the default.

    Raises:
        ValueError: an argument is out of range.
    """

    vectors = True

    def __init__(
        self, shape: tuple[int, ...], *, blocks: int, hidden: int, actnorm_init: str = "mollified"
    ) -> None:
        super().__init__(shape)
        blocks, hidden = check_int("blocks", blocks, 1), check_int("hidden", hidden, 1)
        self.actnorm_init = check_choice("actnorm_init", actnorm_init, ACTNORM_INITS)
        self.blocks = nn.ModuleList(_Block(self.dims, hidden) for _ in range(blocks))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent (see ``Flow.forward``)."""
        h = self._checked(x).flatten(1)
        log_det = h.new_zeros(len(h))
        for block in self.blocks:
            h, block_log_det = block(h)
            log_det = log_det + block_log_det
        return h, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data (see ``Flow.inverse``), by Jacobi iteration instead of ``D`` steps.

        All dimensions are updated at once from their last values. Each pass settles at least one
        more dimension for good, so that ``D`` passes are always enough, and usually far fewer are
        needed (Song et al., 2021, "Accelerating Feedforward Computation via Parallel Nonlinear
        Equation Solving"). It ends when nothing moves by more than rounding errors.
        """
        h = self._checked_latents(z)
        for block in reversed(self.blocks):
            h = cast("_Block", block).inverse(h)
        return h.reshape(-1, *self.shape)


class _Block(nn.Module):
    """ActNorm, the autoregressive affine map, and the reversal."""

    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__()
        self.actnorm = ActNorm(dims, spatial=0)
        self.net = MADE(dims, hidden)
        for parameter in self.net.last.parameters():
            nn.init.zeros_(parameter)
        self.scale = TanhScale(dims, spatial=0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h, log_det = self.actnorm(x)
        log_scale, shift = self._affine(h)
        return ((h + shift) * log_scale.exp()).flip(1), log_det + log_scale.sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        z = z.flip(1)
        h = torch.zeros_like(z)
        for _ in range(z.shape[1]):
            # A masked input still counts as 0 * infinity: keep what the network sees finite.
            log_scale, shift = self._affine(h.nan_to_num(0.0, _OVERFLOW, -_OVERFLOW))
            last, h = h, z * torch.exp(-log_scale) - shift
            if _settled(h, last):
                break
        return self.actnorm.inverse(h)

    def _affine(self, h: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = (out.to(h.dtype) for out in self.net(h))
        return self.scale(raw), shift


def _settled(h: Tensor, last: Tensor) -> bool:
    tolerance = _SETTLED_ULPS * torch.finfo(h.dtype).eps
    return bool(((h - last).abs() <= tolerance * h.abs().clamp(min=1)).all())
