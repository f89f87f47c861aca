"""Blurring as mollification: fine detail dissipates like heat and comes back during training."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from ._check import require
from ._dct import dissipate
from ._generator import normal_like
from ._mollifier import Mollifier
from ._registry import register
from ._space import UNTIL, Choice, Float

if TYPE_CHECKING:
    import torch

Curve = Literal["linear", "log", "sine"]
CURVES: tuple[str, ...] = get_args(Curve)

_LOG_END = 0.3  # pixels; below it a blur changes an 8-bit image hardly at all


@register
@dataclass(frozen=True, kw_only=True)
class Blur(Mollifier):
    r"""Gaussian blur whose width falls from ``sigma_max`` to 0 pixels.

    Heat dissipation with reflecting borders, by the orthonormal DCT-II: frequency
    :math:`f_k = \pi k / n` along each axis is damped by :math:`\exp(-f_k^2 \sigma^2 / 2)`. At the
    share q of the mollified phase sigma = sigma_max h(q), with h(q) one of

    - ``"sine"``: :math:`\sin^2(\pi (1 - q) / 2)`, flat at both ends.
    - ``"linear"``: 1 - q.
    - ``"log"``: log-linear from sigma_max towards 0.3 pixels, shifted and rescaled to reach 0
      without a jump; for sigma_max <= 0.3 its limit, the straight line.

    Warning:
        Pure blur is close to singular: it squeezes the data onto a thin set, and the likelihood of
        a normalizing flow there has no upper bound. The small ``noise`` keeps it bounded. Use
        ``noise=0`` only for models with a noise of their own, such as a VAE's decoder.

    Args:
        sigma_max: Width of the blur at the start in pixels, > 0. Beyond half the image side it
            adds little but a flat start.
        curve: How the width falls.
        noise: Standard deviation, in the units of the data, of the noise that is added after the
            blur throughout the mollified phase, >= 0.
        until: Share of training that is mollified, in (0, 1].

    Raises:
        ValueError: If an argument is out of range, or (when called) if x is not (N, C, H, W).

    Example:
        >>> mollify = Blur(sigma_max=8, until=0.5)
        >>> [round(mollify.level(p), 3) for p in (0.0, 0.25, 0.5)]
        [8.0, 4.0, 0.0]
    """

    family: ClassVar[str] = "blur"

    sigma_max: float
    curve: Curve = "sine"
    noise: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.sigma_max > 0.0, "sigma_max", self.sigma_max, "> 0")
        require(self.curve in CURVES, "curve", self.curve, f"one of {', '.join(CURVES)}")
        require(self.noise >= 0.0, "noise", self.noise, ">= 0")

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching.

        Args:
            side: Side of the images in pixels, >= 2; a wider blur than half of it adds little.

        Raises:
            ValueError: If ``side`` is too small to blur.
        """
        require(side >= 2, "side", side, "at least 2 pixels")
        return {
            "sigma_max": Float(0.5, side / 2, log=True),
            "curve": Choice(CURVES),
            "until": UNTIL,
        }

    def phase_level(self, q: float) -> float:
        """Width of the blur in pixels at the share ``q`` in [0, 1) of the mollified phase."""
        return self.sigma_max * self._h(q)

    def apply(
        self, x: "torch.Tensor", level: float, generator: "torch.Generator"
    ) -> "torch.Tensor":
        """Blur images of shape (N, C, H, W) with sigma = ``level`` pixels, then add the noise."""
        import torch

        require(x.ndim == 4, "x", tuple(x.shape), "of shape (N, C, H, W)")
        # Half precision would lose the image in the sums, and autocast would bring it in unasked.
        with torch.autocast(x.device.type, enabled=False):
            wide = torch.promote_types(x.dtype, torch.float32)
            blurred = dissipate(x.to(wide), level)
        if self.noise > 0.0:
            blurred = normal_like(blurred, self.noise, generator).add_(blurred)
        return blurred.to(x.dtype)

    def _h(self, q: float) -> float:
        if self.curve == "sine":
            return math.sin(0.5 * math.pi * (1.0 - q)) ** 2
        rate = math.log(min(_LOG_END / self.sigma_max, 1.0)) if self.curve == "log" else 0.0
        if rate == 0.0:
            return 1.0 - q
        return math.exp(rate * q) * math.expm1(rate * (1.0 - q)) / math.expm1(rate)
