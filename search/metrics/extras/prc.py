"""Precision and recall."""

from __future__ import annotations

from torch import Tensor

from mollitune.search.store.evaluation import OPTIONAL

from .base import Extra, Sides

NEIGHBOURS = 3
BLOCK = 1000


class PrecisionRecall(Extra):
    """Precision and recall, see `precision_recall`."""

    columns = (OPTIONAL["precision"], OPTIONAL["recall"])
    least = 4
    needs_real = True

    def measure(self, sides: Sides) -> dict[str, float]:
        """Return both."""
        precision, recall = precision_recall(*sides.both)
        return {"precision": precision, "recall": recall}


def precision_recall(generated: Tensor, real: Tensor) -> tuple[float, float]:
    """Return the shares of generated and of real images inside the other set's manifold.

    The manifold is the union of balls that reach to the third neighbour.

    | Improved Precision and Recall Metric for Assessing Generative Models
    | (Kynkaanniemi et al., 2019), https://arxiv.org/abs/1904.06991

    Args:
        generated: Features with shape (N, F), N >= 4.
        real: Features with shape (M, F), M >= 4.
    """
    from torch_fidelity.metric_prc import (
        KEY_METRIC_PRECISION,
        KEY_METRIC_RECALL,
        prc_features_to_metric,
    )

    metric = prc_features_to_metric(
        generated,
        real,
        prc_neighborhood=NEIGHBOURS,
        prc_batch_size=BLOCK,
        save_cpu_ram=True,  # distances in blocks, never all N x M
        verbose=False,
    )
    return float(metric[KEY_METRIC_PRECISION]), float(metric[KEY_METRIC_RECALL])
