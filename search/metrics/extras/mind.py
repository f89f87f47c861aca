"""Monge Inception distance."""

from __future__ import annotations

import torch
from torch import Tensor

from mollitune.search.store.evaluation import extra_metric

from .base import Extra, Sides

DIRECTIONS = 1000
SEED = 2020
_AT_ONCE = 100  # directions; their projections are held together


class Mind(Extra):
    """The sliced Wasserstein distance of features, see `mind`."""

    columns = (extra_metric("mind", "Monge Inception distance, if asked for", better="lower"),)
    needs_real = True

    def measure(self, sides: Sides) -> dict[str, float]:
        """Return it."""
        return {self.columns[0].name: mind(*sides.both)}


def mind(generated: Tensor, real: Tensor) -> float:
    """Return the mean squared 2-Wasserstein distance along 1,000 random directions, times 3 F.

    Along a direction the optimal transport is the sorted order. With unequal numbers of images the
    quantile functions are compared, which leaves none out.

    | MIND: Monge Inception Distance for Generative Models Evaluation (Berthet et al., 2026)
    | https://arxiv.org/abs/2605.06797

    Args:
        generated: Features with shape (N, F), N >= 2.
        real: Features with shape (M, F), M >= 2.
    """
    features = generated.shape[1]
    generator = torch.Generator().manual_seed(SEED)
    directions = torch.randn(DIRECTIONS, features, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    one, other, shares = _steps(len(generated), len(real))
    device, total = generated.device, 0.0
    for some in directions.split(_AT_ONCE):
        u = some.to(device, torch.float32).T
        first = (generated.float() @ u).sort(dim=0).values[one.to(device)]
        second = (real.float() @ u).sort(dim=0).values[other.to(device)]
        total += float(shares.to(device) @ ((first - second) ** 2).sum(1))
    return 3 * features * total / DIRECTIONS


def _steps(count: int, others: int) -> tuple[Tensor, Tensor, Tensor]:
    """Steps where two quantile functions are constant: the ranks in each, and the shares."""
    ends = torch.cat([torch.arange(1, count + 1) * others, torch.arange(1, others + 1) * count])
    ends = ends.unique()  # of count * others, so that they are whole numbers
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    shares = (ends - starts).float() / (count * others)
    return starts // others, starts // count, shares
