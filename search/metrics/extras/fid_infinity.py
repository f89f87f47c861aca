"""FID of infinitely many samples."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mollitune.search.metrics.frechet import Target
from mollitune.search.store.evaluation import OPTIONAL

from .base import Extra, Sides

POINTS = 15
SEED = 2020


class FidInfinity(Extra):
    """FID without the bias of few samples, see `fid_infinity`."""

    columns = (OPTIONAL["fid_infinity"],)
    least = 40

    def measure(self, sides: Sides) -> dict[str, float]:
        """Return it."""
        return {"fid_infinity": fid_infinity(sides.target, sides.generated)}


def fid_infinity(target: Target, generated: Tensor) -> float:
    """Return FID extrapolated to infinitely many generated samples.

    FID falls with the number of samples like a + b / N. The line goes through 15 random subsets
    between a tenth of the samples (but twice the features, where there are that many) and all of
    them. The bias of the finite real set stays; with N below the number of features the law does
    not hold and the value is a guess.

    | Effectively Unbiased FID and Inception Score and Where to Find Them
    | (Chong and Forsyth, 2020), https://arxiv.org/abs/1911.07023

    Args:
        target: The real images.
        generated: Features with shape (N, F), N >= 40.
    """
    count, features = generated.shape
    least = max(count // 10, min(2 * features, count // 2))
    sizes = np.linspace(least, count, POINTS).astype(int)
    rng = np.random.default_rng(SEED)
    subsets = (torch.from_numpy(rng.choice(count, size, replace=False)) for size in sizes)
    values = [target.distance_of(generated[chosen.to(generated.device)]) for chosen in subsets]
    _, intercept = np.polyfit(1 / sizes, values, 1)
    return float(intercept)
