import math

import pytest
import torch

from mollitune.models._bits import nats_to_bits


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 7.3])
def test_uniform_density_costs_eight_bits_at_any_scale(scale: float) -> None:
    dims = 12
    nll = torch.full((3,), dims * math.log(scale), dtype=torch.float64)
    torch.testing.assert_close(nats_to_bits(nll, dims, scale), torch.full((3,), 8.0).double())


def test_default_scale_is_the_models_space() -> None:
    assert nats_to_bits(torch.zeros(()), dims=5).item() == 7.0


@pytest.mark.parametrize("scale", [0.5, 2.0, 255.0])
def test_affine_rescaling_leaves_bits_unchanged(scale: float) -> None:
    x = torch.rand(16, 5, dtype=torch.float64)
    unit = torch.distributions.Normal(0.4, 0.3)
    rescaled = torch.distributions.Normal(0.4 * scale - 1.0, 0.3 * scale)
    before = nats_to_bits(-unit.log_prob(x).sum(1), 5, scale=1.0)
    after = nats_to_bits(-rescaled.log_prob(scale * x - 1.0).sum(1), 5, scale=scale)
    torch.testing.assert_close(after, before)
