import math

import pytest
import torch

from mollitune.models import dequantise


def test_every_byte_keeps_its_cell() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(500, 1, 1, 1)
    y = dequantise(images)
    assert y.dtype == torch.float32
    assert y.shape == images.shape
    assert y.min() >= -1
    assert y.max() < 1
    assert torch.equal(torch.floor(128 * (y + 1)).to(torch.uint8), images)


def test_noise_is_uniform_within_a_cell() -> None:
    images = torch.full((100, 1, 32, 32), 255, dtype=torch.uint8)
    u = 128 * (dequantise(images).double() + 1) - 255
    # Mean 1/2 and variance 1/12; the variance of u^2 is 4/45. Tolerance: 5 standard errors.
    assert abs(u.mean().item() - 1 / 2) < 5 * math.sqrt(1 / 12 / u.numel())
    assert abs(u.square().mean().item() - 1 / 3) < 5 * math.sqrt(4 / 45 / u.numel())


def test_the_generator_decides_alone() -> None:
    images, before = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.get_rng_state()
    first, again, other = (
        dequantise(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_only_bytes_are_accepted() -> None:
    for dtype in (torch.float32, torch.int64, torch.int8):
        with pytest.raises(ValueError, match=f"images must be a uint8 tensor, got {dtype}"):
            dequantise(torch.zeros(1, 1, 2, 2, dtype=dtype))
    with pytest.raises(ValueError, match="images must be a uint8 tensor, got list"):
        dequantise([[0]])  # type: ignore[arg-type]
