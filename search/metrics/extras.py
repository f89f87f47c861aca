"""Metrics beside FID that need all features at once: KID, precision and recall, FID-infinity."""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
from torch_fidelity.metric_prc import (
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
    prc_features_to_metric,
)

from .frechet import Target

Extra = Literal["kid", "prc", "fid_infinity"]

# fields of a `mollitune.search.metrics.fid.Measurement` and the fewest images per side
FIELDS: dict[Extra, tuple[str, ...]] = {
    "kid": ("kid",),
    "prc": ("precision", "recall"),
    "fid_infinity": ("fid_infinity",),
}
LEAST: dict[Extra, int] = {"kid": 2, "prc": 4, "fid_infinity": 40}
NEED_REAL_FEATURES: frozenset[Extra] = frozenset({"kid", "prc"})

KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000
NEIGHBOURS = 3
BLOCK = 1000
POINTS = 15
SEED = 2020  # torch-fidelity's default, so that values agree with its command line


def check_extras(extras: Set[Extra], images: int, has_real_features: bool) -> None:
    """Check that metrics can be computed.

    Args:
        extras: Names of metrics.
        images: Real or generated images, whichever are fewer.
        has_real_features: Whether the features of the real images were kept.

    Raises:
        ValueError: If a name is unknown, or images or features are missing.
    """
    for extra in sorted(extras):
        if extra not in FIELDS:
            raise ValueError(f"extra metric {extra!r} is unknown; allowed: {', '.join(FIELDS)}")
        if images < LEAST[extra]:
            raise ValueError(f"{extra} needs at least {LEAST[extra]} images, got {images}")
    if extras & NEED_REAL_FEATURES and not has_real_features:
        raise ValueError("kid and prc need a reference that was measured with keep_features=True")


def kid(generated: Tensor, real: Tensor) -> float:
    """Return the kernel distance, the mean over 100 subsets of up to 1,000 features.

    | Demystifying MMD GANs (Binkowski et al., 2018), https://arxiv.org/abs/1801.01401

    Args:
        generated: Features with shape (N, F), N >= 2.
        real: Features with shape (M, F), M >= 2.
    """
    metric = kid_features_to_metric(
        generated,
        real,
        kid_subsets=KID_SUBSETS,
        kid_subset_size=min(KID_SUBSET_SIZE, len(generated), len(real)),
        rng_seed=SEED,
        verbose=False,
    )
    return float(metric[KEY_METRIC_KID_MEAN])


def precision_recall(generated: Tensor, real: Tensor) -> tuple[float, float]:
    """Return the shares of generated and of real images inside the other set's manifold.

    The manifold is the union of balls that reach to the third neighbour.

    | Improved Precision and Recall Metric for Assessing Generative Models
    | (Kynkaanniemi et al., 2019), https://arxiv.org/abs/1904.06991

    Args:
        generated: Features with shape (N, F), N >= 4.
        real: Features with shape (M, F), M >= 4.
    """
    metric = prc_features_to_metric(
        generated,
        real,
        prc_neighborhood=NEIGHBOURS,
        prc_batch_size=BLOCK,
        save_cpu_ram=True,  # distances in blocks, never all N x M
        verbose=False,
    )
    return float(metric[KEY_METRIC_PRECISION]), float(metric[KEY_METRIC_RECALL])


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
