"""Kernel Inception distance."""

from __future__ import annotations

from torch import Tensor

from mollitune.search.store.evaluation import OPTIONAL

from .base import Extra, Sides

AT_ONCE = 3000
"""Images up to which all are compared with all: less noise than subsets, a tenth of the time."""
SUBSETS = 100
SUBSET_SIZE = 1000
SEED = 2020  # torch-fidelity's default, so that values agree with its command line


class Kid(Extra):
    """The kernel distance, see `kid`."""

    columns = (OPTIONAL["kid"],)
    needs_real = True

    def measure(self, sides: Sides) -> dict[str, float]:
        """Return it."""
        return {"kid": kid(*sides.both)}


def kid(generated: Tensor, real: Tensor) -> float:
    """Return the kernel distance: of all features up to 3,000, else the mean of 100 subsets.

    The smaller side is used whole and as many of the larger. Subsets have 1,000 features.

    | Demystifying MMD GANs (Binkowski et al., 2018), https://arxiv.org/abs/1801.01401

    Args:
        generated: Features with shape (N, F), N >= 2.
        real: Features with shape (M, F), M >= 2.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    fewest = min(len(generated), len(real))
    metric = kid_features_to_metric(
        generated,
        real,
        kid_subsets=1 if fewest <= AT_ONCE else SUBSETS,
        kid_subset_size=fewest if fewest <= AT_ONCE else SUBSET_SIZE,
        rng_seed=SEED,
        verbose=False,
    )
    return float(metric[KEY_METRIC_KID_MEAN])
