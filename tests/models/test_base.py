import math

import pytest
import torch
from torch import Tensor, nn

from mollitune.models import GenerativeModel
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


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_samples_stay_visible(value: float) -> None:
    x = _Gaussian((1, 2, 2), first_pixel=value).sample(3)
    assert x[:, 0, 0, 0].isnan().all()
    assert x.flatten(1)[:, 1:].isfinite().all()


@pytest.mark.parametrize(("value", "clamped"), [(3.0, 1.0), (-3.0, -1.0), (0.25, 0.25)])
def test_samples_are_clamped(value: float, clamped: float) -> None:
    x = _Gaussian((1, 2, 2), first_pixel=value).sample(3)
    assert x[:, 0, 0, 0].tolist() == [clamped] * 3
    assert x.abs().max() <= 1


def test_bits_per_dim_converts_the_nll() -> None:
    model = _Gaussian((1, 2, 2))
    expected = 0.5 * math.log2(2 * math.pi) + 7
    bits = model.bits_per_dim(torch.zeros(3, 1, 2, 2))
    torch.testing.assert_close(bits, torch.full((3,), expected))
    assert not bits.requires_grad


def test_a_model_must_give_the_hooks() -> None:
    with pytest.raises(TypeError, match="abstract"):
        GenerativeModel((1, 2, 2))  # type: ignore[abstract]


@pytest.mark.parametrize("shape", [(1, 8), (1, 8, 0), (1, 8, 8.0), (True, 8, 8), "abc", 8])
def test_bad_shape(shape: object) -> None:
    with pytest.raises(ValueError, match="shape must be"):
        _Gaussian(shape)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [0, -1, 2.0, True])
def test_bad_sample_count(n: int) -> None:
    with pytest.raises(ValueError, match=f"n must be an integer >= 1, got {n}"):
        _Gaussian((1, 2, 2)).sample(n)


@pytest.mark.parametrize("temperature", [-0.1, math.nan, math.inf, "hot", True])
def test_bad_temperature(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be a finite number >= 0, got"):
        _Gaussian((1, 2, 2)).sample(1, temperature=temperature)
