"""Fixtures shared by the tests of the models."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def _one_seed() -> Iterator[None]:
    """Every test starts from the same global seed and leaves the generator as it found it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def perturb() -> Callable[[nn.Module, float], None]:
    """Adds Gaussian noise to all parameters: fresh couplings are identities and prove nothing."""

    def add_noise(module: nn.Module, std: float) -> None:
        with torch.no_grad():
            for parameter in module.parameters():
                # in the order of the values, not of memory: layouts must not matter here
                parameter.add_(std * torch.randn(parameter.shape, dtype=parameter.dtype))

    return add_noise
