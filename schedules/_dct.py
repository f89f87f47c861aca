"""Heat dissipation on images by the discrete cosine transform."""

import functools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def dissipate(x: "torch.Tensor", sigma: float) -> "torch.Tensor":
    """Blur images with a Gaussian of width sigma and reflecting borders.

    The orthonormal DCT-II of each image is multiplied by exp(-(f_i^2 + f_j^2) sigma^2 / 2) with
    f_k = pi k / n, which is the heat equation run for the time sigma^2 / 2. The transform, the
    gain and the inverse transform along one axis are together one small symmetric matrix, so an
    image costs two matrix products.

    Args:
        x: Images of shape (..., H, W), float32 or float64.
        sigma: Width of the blur in pixels, >= 0.

    Returns:
        The blurred images, in the shape, dtype and device of ``x``.
    """
    height, width = x.shape[-2:]
    right = _blur_matrix(width, sigma, x.dtype, x.device)
    left = right if height == width else _blur_matrix(height, sigma, x.dtype, x.device)
    return left @ (x @ right)


def _blur_matrix(
    n: int, sigma: float, dtype: "torch.dtype", device: "torch.device"
) -> "torch.Tensor":
    """C^T diag(gain) C of shape (n, n), computed in float64 on the device, without a host copy."""
    import torch

    dct, frequency = _dct_matrix(n, device)
    # f * sigma is squared as a whole: sigma^2 alone may overflow, and 0 * inf is NaN.
    gain = torch.exp(-0.5 * (frequency * sigma).square())
    return ((dct.T * gain) @ dct).to(dtype)


@functools.lru_cache(maxsize=64)
def _dct_matrix(n: int, device: "torch.device") -> "tuple[torch.Tensor, torch.Tensor]":
    """The orthonormal DCT-II matrix, shape (n, n), and its frequencies pi k / n, in float64."""
    import torch

    k = torch.arange(n, dtype=torch.float64, device=device)
    dct = torch.cos(math.pi / n * k[:, None] * (k + 0.5)) * math.sqrt(2.0 / n)
    dct[0] *= math.sqrt(0.5)
    return dct, math.pi / n * k
