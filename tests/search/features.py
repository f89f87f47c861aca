"""Features of a whole set of images, for tests."""

import numpy as np
import numpy.typing as npt
import torch

from mollitune.search.metrics.extractors.extractor import Extractor, feature_batches


def features_of(extractor: Extractor, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return features with shape (N, F) of bytes with shape (N, C, H, W)."""
    cpu = torch.device("cpu")
    parts = feature_batches(extractor.build(cpu), pixels, cpu)
    return torch.cat(list(parts)).double().numpy()
