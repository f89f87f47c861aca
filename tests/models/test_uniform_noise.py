"""The entropy of uniform bytes is eight bits: no density model may claim less."""

import math
from typing import Any

import pytest
import torch

from mollitune.models import build, dequantise, models


def _uniform_bytes(n: int) -> torch.Tensor:
    return dequantise(torch.randint(0, 256, (n, 1, 8, 8), dtype=torch.uint8))


@pytest.mark.parametrize("name", models())
def test_uniform_bytes_cost_at_least_eight_bits(name: str) -> None:
    small: dict[str, Any] = {"glow": {"steps": 2}, "maf": {"blocks": 2}}
    model = build(name, shape=(1, 8, 8), hidden=8, **small.get(name, {}))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(_uniform_bytes(64)).backward()
        optimizer.step()
    bits = model.bits_per_dim(_uniform_bytes(500))
    # Fresh data, so the mean is at least 8 in expectation; tolerance: 4 standard errors.
    assert bits.mean() > 8 - 4 * bits.std() / math.sqrt(500)
    # One Gaussian for all pixels already reaches 8.25 bits.
    assert bits.mean() < 8.4
