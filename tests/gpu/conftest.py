"""What needs a GPU; elsewhere it is skipped, and pytest says so."""

from collections.abc import Iterator

import pytest
import torch
from tests.search.conftest import cache, digits, lenet, reference

from mollitune.models import allow_tf32

__all__ = ["cache", "digits", "gpu", "lenet", "reference"]


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    """The GPU, with convolutions and products in whole fp32."""
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    allow_tf32(False)
    yield torch.device("cuda", torch.cuda.current_device())
    allow_tf32(False)
