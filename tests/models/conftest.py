"""Fixtures shared by the tests of the models."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_seed() -> Iterator[None]:
    """Every test starts from the same global seed and leaves the generator as it found it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
