"""Kernel Inception distance."""

from __future__ import annotations

import math

from torch import Tensor

from mollitune.search.store.evaluation import OPTIONAL

from .base import Extra, Sides

BLOCK = 1000
"""Features that are compared with each other; with all of 10,000 it would take ten times as long,
for the same variance but for a part of second order."""


class Kid(Extra):
    """The kernel distance, see `kid`."""

    columns = (OPTIONAL["kid"],)
    needs_real = True

    def measure(self, sides: Sides) -> dict[str, float]:
        """Return it."""
        return {"kid": kid(*sides.both)}


def kid(generated: Tensor, real: Tensor) -> float:
    r"""Return an unbiased estimate of the squared MMD.

    The kernel is :math:`(x^T y / F + 1)^3`. Every generated image is compared with every real
    one, and those of a side with each other in blocks of up to 1,000. torch-fidelity averages 100
    random subsets of 1,000, which has the same expectation and takes ten times as long at 2,000
    samples; with ``kid_subsets=1`` and equally many images, up to 1,000, it gives this number.

    | Demystifying MMD GANs (Binkowski et al., 2018), https://arxiv.org/abs/1801.01401

    Args:
        generated: Features with shape (N, F), N >= 2.
        real: Features with shape (M, F), M >= 2.
    """
    across = _kernels(generated, real) / (len(generated) * len(real))
    return _within(generated) + _within(real) - 2 * across


def _within(x: Tensor) -> float:
    """Mean kernel of two different ones of N features, in blocks of nearly one size."""
    total = 0.0
    for block in x.tensor_split(math.ceil(len(x) / BLOCK)):
        same = (block.square().sum(1) / x.shape[1] + 1) ** 3
        total += (_kernels(block, block) - float(same.double().sum())) / (len(block) - 1)
    return total / len(x)


def _kernels(x: Tensor, y: Tensor) -> float:
    """Sum of the kernels of all pairs."""
    blocks = (((block @ y.T / x.shape[1] + 1) ** 3).double().sum() for block in x.split(BLOCK))
    return float(sum(blocks))
