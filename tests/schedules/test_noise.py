import math
from dataclasses import dataclass

import pytest
import torch

from mollitune.schedules import Linear
from mollitune.schedules._generator import normal_like


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_variance_of_a_mollified_batch() -> None:
    n, mollify = 200_000, Linear()
    for progress, std in ((0.0, 2.0), (0.1, 0.5), (0.5, 1.0), (0.5, 2.0), (0.999, 0.5)):
        x = std * torch.randn(n, 1, dtype=torch.float64, generator=generator(1))
        y = mollify(x, progress, generator=generator(2))
        gamma = mollify.level(progress)
        expected = (1.0 - gamma) * std**2 + gamma
        # x is normal, so y is: the sample variance has a standard error of v sqrt(2 / (n - 1)).
        assert abs(y.var().item() - expected) < 5.0 * expected * math.sqrt(2.0 / (n - 1))
        assert abs(y.mean().item()) < 5.0 * math.sqrt(expected / n)


def test_the_data_enters_with_the_square_root_of_the_rest() -> None:
    mollify = Linear()
    x = torch.randn(8, 3, 4, 4, dtype=torch.float64)
    difference = mollify(x, 0.25, generator=generator()) - mollify(
        0 * x, 0.25, generator=generator()
    )
    torch.testing.assert_close(difference, math.sqrt(0.25) * x)


def test_one_level_for_the_batch_and_fresh_noise_for_each_element() -> None:
    n, mollify = 40_000, Linear()
    noise = mollify(torch.zeros(4, n), 0.6, generator=generator())
    # Variance 0.4 in every sample of the batch, and no correlation between the samples.
    deviation = noise.double() @ noise.double().T / n - 0.4 * torch.eye(4, dtype=torch.float64)
    # Standard errors: 0.4 sqrt(2 / n) on the diagonal, 0.4 sqrt(1 / n) beside it.
    assert deviation.abs().max().item() < 5.0 * 0.4 * math.sqrt(2.0 / n)


def test_pure_noise_at_the_start_carries_nothing_of_the_data() -> None:
    x = torch.randn(4, 8)
    first, second = (Linear()(data, 0.0, generator=generator()) for data in (x, -x))
    assert torch.equal(first, second)


def test_any_shape() -> None:
    for shape in ((), (5,), (2, 1, 3, 4, 5)):
        assert Linear()(torch.zeros(shape), 0.5).shape == shape


@dataclass(frozen=True, kw_only=True)
class Constant(Linear):
    value: float

    def h(self, q: float) -> float:
        return self.value


def test_rounding_does_not_carry_the_level_out_of_range() -> None:
    for value, level in ((-1e-16, 0.0), (1.0 + 4e-16, 1.0)):
        schedule = Constant(value=value)
        assert schedule.level(0.5) == level
        assert schedule.phase_levels([0.5]) == [level]
        assert torch.isfinite(schedule(torch.zeros(4), 0.5)).all()


def test_the_level_never_exceeds_the_peak() -> None:
    for i in range(1, 200):
        peak = i / 200
        assert all(Linear(peak=peak, floor=peak * (j / 77)).level(0.0) <= peak for j in range(78))


def test_a_curve_out_of_range_is_reported() -> None:
    wrong = r"Constant\.h must be in \[0, 1\], got .* at q=0\.5"
    for value in (-1e-3, 1.001, 1e300):
        with pytest.raises(ValueError, match=wrong):
            Constant(value=value).level(0.5)
        with pytest.raises(ValueError, match=wrong):
            Constant(value=value).phase_levels([0.5, 0.75])


def test_memory_layout_of_the_batch_is_kept() -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert Linear()(x, 0.5).is_contiguous(memory_format=torch.channels_last)


def test_noise_for_an_expanded_batch_is_not_shared_between_samples() -> None:
    x = torch.zeros(1, 6).expand(3, 6)
    noise = normal_like(x, 1.0, generator())
    assert noise.shape == x.shape
    assert len(set(noise.flatten().tolist())) == x.numel()
