"""Kernel Inception distance."""

from __future__ import annotations

from torch import Tensor

from mollitune.search.store.evaluation import OPTIONAL

from .base import Extra, Sides

BLOCK = 1000  # features whose kernels are held together


class Kid(Extra):
    """The kernel distance, see `kid`."""

    columns = (OPTIONAL["kid"],)
    needs_real = True

    def measure(self, sides: Sides) -> dict[str, float]:
        """Return it."""
        return {"kid": kid(*sides.both)}


def kid(generated: Tensor, real: Tensor) -> float:
    r"""Return the unbiased estimate of the squared MMD of all features.

    The kernel is :math:`(x^T y / F + 1)^3`. torch-fidelity averages 100 random subsets of 1,000,
    which has the same expectation and takes ten times as long at 2,000 samples; with
    ``kid_subsets=1`` and equally many images it gives this number.

    | Demystifying MMD GANs (Binkowski et al., 2018), https://arxiv.org/abs/1801.01401

    Args:
        generated: Features with shape (N, F), N >= 2.
        real: Features with shape (M, F), M >= 2.
    """
    across = _kernels(generated, real) / (len(generated) * len(real))
    return _within(generated) + _within(real) - 2 * across


def _within(x: Tensor) -> float:
    """Mean kernel of two different ones of N features."""
    same = (x.square().sum(1) / x.shape[1] + 1) ** 3
    return (_kernels(x, x) - float(same.double().sum())) / (len(x) * (len(x) - 1))


def _kernels(x: Tensor, y: Tensor) -> float:
    """Sum of the kernels of all pairs."""
    blocks = (((block @ y.T / x.shape[1] + 1) ** 3).double().sum() for block in x.split(BLOCK))
    return float(sum(blocks))
