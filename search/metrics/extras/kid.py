"""Kernel Inception distance."""

from __future__ import annotations

from torch import Tensor

from mollitune.search.store.evaluation import OPTIONAL

from .base import Extra, Sides

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
    """Return the kernel distance, the mean over 100 subsets of up to 1,000 features.

    | Demystifying MMD GANs (Binkowski et al., 2018), https://arxiv.org/abs/1801.01401

    Args:
        generated: Features with shape (N, F), N >= 2.
        real: Features with shape (M, F), M >= 2.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    metric = kid_features_to_metric(
        generated,
        real,
        kid_subsets=SUBSETS,
        kid_subset_size=min(SUBSET_SIZE, len(generated), len(real)),
        rng_seed=SEED,
        verbose=False,
    )
    return float(metric[KEY_METRIC_KID_MEAN])
