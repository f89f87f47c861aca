import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mollitune.models import GenerativeModel
from mollitune.models._bits import nats_to_bits
from mollitune.models._gaussian import diagonal_log_prob


class _Gaussian(GenerativeModel):
    """N(0, scale^2), with a chosen value in the place of the first pixel of each draw."""

    def __init__(self, shape: tuple[int, int, int], first_pixel: float = 0.0) -> None:
        super().__init__(shape)
        self.scale = nn.Parameter(torch.ones(()))
        self.first_pixel = first_pixel

    def loss(self, x: Tensor) -> Tensor:
        return self._nll(x, None).mean() / self.dims

    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        x = temperature * self.scale * torch.randn(n, *self.shape, generator=generator)
        x[:, 0, 0, 0] = self.first_pixel
        return x

    def _nll(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return -diagonal_log_prob(x, torch.zeros(()), 2 * self.scale.log())


def test_samples_are_clamped_and_what_is_not_finite_stays_visible() -> None:
    for value, clamped in ((3.0, 1.0), (-3.0, -1.0), (0.25, 0.25)):
        x = _Gaussian((1, 2, 2), first_pixel=value).sample(3)
        assert x[:, 0, 0, 0].tolist() == [clamped] * 3
        assert x.abs().max() <= 1
    for value in (math.nan, math.inf, -math.inf):
        x = _Gaussian((1, 2, 2), first_pixel=value).sample(3)
        assert x[:, 0, 0, 0].isnan().all()
        assert x.flatten(1)[:, 1:].isfinite().all()


def test_bits_per_dim_converts_the_nll() -> None:
    model = _Gaussian((1, 2, 2))
    expected = 0.5 * math.log2(2 * math.pi) + 7
    bits = model.bits_per_dim(torch.zeros(3, 1, 2, 2))
    torch.testing.assert_close(bits, torch.full((3,), expected))
    assert not bits.requires_grad


def test_what_is_illegal_is_refused() -> None:
    with pytest.raises(TypeError, match="abstract"):
        GenerativeModel((1, 2, 2))  # type: ignore[abstract]
    shapes: tuple[Any, ...] = ((1, 8), (1, 8, 0), (1, 8, 8.0), (True, 8, 8), "abc", 8)
    for shape in shapes:
        with pytest.raises(ValueError, match="shape must be"):
            _Gaussian(shape)
    model = _Gaussian((1, 2, 2))
    for n in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match=f"n must be an integer >= 1, got {n}"):
            model.sample(n)  # type: ignore[arg-type]
    temperatures: tuple[Any, ...] = (-0.1, math.nan, math.inf, "hot", True)
    for temperature in temperatures:
        with pytest.raises(ValueError, match="temperature must be a finite number >= 0, got"):
            model.sample(1, temperature=temperature)


def test_affine_rescaling_leaves_bits_unchanged() -> None:
    x = torch.rand(16, 5, dtype=torch.float64)
    unit = torch.distributions.Normal(0.4, 0.3)
    before = nats_to_bits(-unit.log_prob(x).sum(1), 5, scale=1.0)
    for scale in (0.5, 2.0, 255.0):
        rescaled = torch.distributions.Normal(0.4 * scale - 1.0, 0.3 * scale)
        after = nats_to_bits(-rescaled.log_prob(scale * x - 1.0).sum(1), 5, scale=scale)
        torch.testing.assert_close(after, before)
    assert nats_to_bits(torch.zeros(()), dims=5).item() == 7.0  # in the models' own space
