"""Glow: a multi-scale flow with invertible 1x1 convolutions."""

from functools import partial

from torch import nn

from ._actnorm import ActNorm
from ._checks import check_choice, check_int
from ._coupling import AffineCoupling, SigmoidScale, TanhScale
from ._coupling_nets import GlowNet, ZeroConv
from ._flow import ACTNORM_INITS
from ._invertible import Invertible1x1
from ._multiscale import Chain, MultiscaleFlow, Rearrange, by_side_halved, check_scales
from ._registry import register
from ._squeeze import squeeze, unsqueeze

QUICK = {
    8: {"levels": 2, "steps": 4, "hidden": 64},
    28: {"levels": 2, "steps": 8, "hidden": 128},
    32: {"levels": 3, "steps": 8, "hidden": 128},
    64: {"levels": 4, "steps": 16, "hidden": 256},
}
"""Defaults by image side, quick to train."""

PAPER = {
    8: {"levels": 2, "steps": 8, "hidden": 128},
    28: {"levels": 2, "steps": 20, "hidden": 512},
    32: {"levels": 3, "steps": 20, "hidden": 512},
    64: {"levels": 4, "steps": 20, "hidden": 512},
}
"""Near the published size by image side; for a GPU."""


@register(
    "glow",
    quick=partial(by_side_halved, QUICK, name="levels"),
    paper=partial(by_side_halved, PAPER, name="levels"),
)
class Glow(MultiscaleFlow):
    """Glow (Kingma and Dhariwal, 2018) with a standard normal base.

    Each level: squeeze, then steps of ActNorm, invertible 1x1 convolution and affine coupling;
    half of the channels leave as latents but at the last level. Glow's learned prior of these
    latents given the channels that stay is a last affine coupling here, and that of the last
    level an ActNorm, so that the base stays ``N(0, I)``.

    Args:
        shape: shape ``(C, H, W)`` of one image; sides divisible by ``2**levels``.
        levels: number of levels, >= 1.
        steps: steps of flow per level, >= 1.
        hidden: width of the coupling networks, >= 1.
        actnorm_init: ``"clean"`` or ``"mollified"``: the data that ``initialise`` fits ActNorm
            to.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        levels: int,
        steps: int,
        hidden: int,
        actnorm_init: str = "clean",
    ) -> None:
        super().__init__(shape)
        levels = check_scales("levels", levels, self.shape)
        steps, hidden = check_int("steps", steps, 1), check_int("hidden", hidden, 1)
        self.actnorm_init = check_choice("actnorm_init", actnorm_init, ACTNORM_INITS)
        # After the squeeze of each level.
        *channels, last = (self.shape[0] << (level + 2) for level in range(levels))
        self.scales = nn.ModuleList(
            Chain([*_level(width, steps, hidden), _prior(width)]) for width in channels
        )
        self.last = Chain([*_level(last, steps, hidden), ActNorm(last)])


def _level(channels: int, steps: int, hidden: int) -> list[nn.Module]:
    return [Rearrange(squeeze, unsqueeze), *(_step(channels, hidden) for _ in range(steps))]


def _step(channels: int, hidden: int) -> Chain:
    half = channels // 2
    coupling = AffineCoupling(GlowNet(half, hidden, channels), SigmoidScale())
    return Chain([ActNorm(channels), Invertible1x1(channels), coupling])


def _prior(channels: int) -> AffineCoupling:
    """Standardises the channels that leave, given those that stay."""
    half = channels // 2
    return AffineCoupling(ZeroConv(half, channels), TanhScale(half))
