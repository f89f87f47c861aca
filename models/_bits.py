"""The one conversion from nats of a continuous density to bits per dimension of 8-bit images."""

import math

from torch import Tensor

MODEL_SCALE = 2.0
"""Width of the models' space [-1, 1], in units of the bytes' space [0, 1]."""

VECTOR_SCALE = 256.0
"""Vectors hold no bytes: with this scale the bits are those of the density itself."""


def nats_to_bits(nll: Tensor, dims: int, scale: float = MODEL_SCALE) -> Tensor:
    r"""Converts the NLL of dequantised bytes to bits per dimension.

    With bytes :math:`v` and :math:`y = \mathrm{scale} \cdot (v + u) / 256 + \mathrm{const}`, a
    byte's cell has width :math:`\mathrm{scale} / 256` in :math:`y`, so that

    .. math:: \mathrm{bpd} = \frac{-\log p(y)}{D \ln 2} + 8 - \log_2 \mathrm{scale}

    bounds :math:`-\log_2 P(v) / D` from above. The uniform density costs exactly 8 bits at any
    scale.

    Args:
        nll: :math:`-\log p(y)` in nats, summed over the dimensions, any shape.
        dims: number of dimensions :math:`D`.
        scale: width of :math:`y`'s range; 2 for the models' space [-1, 1].

    Example:
        >>> import math, torch
        >>> nats_to_bits(torch.tensor(3 * math.log(2.0)), dims=3)  # uniform on [-1, 1]^3
        tensor(8.)
    """
    return nll / (dims * math.log(2)) + (8 - math.log2(scale))
