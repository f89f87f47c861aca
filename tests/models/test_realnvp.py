import math
from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import nn

from mollitune.models import RealNVP, build
from mollitune.models._coupling import MAX_LOG_SCALE
from mollitune.models._gaussian import standard_normal_log_prob
from mollitune.models._realnvp import _couplings

Perturb = Callable[[nn.Module, float], None]


def _flow(shape: tuple[int, int, int], scales: int = 2) -> RealNVP:
    return cast("RealNVP", build("realnvp", shape=shape, scales=scales, hidden=6, blocks=1))


@pytest.mark.parametrize(
    ("shape", "scales"),
    [((1, 8, 8), 1), ((3, 8, 8), 2), ((1, 8, 16), 3), ((1, 28, 28), 2), ((3, 32, 32), 2)],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_inverse(
    shape: tuple[int, int, int],
    scales: int,
    dtype: torch.dtype,
    tolerance: float,
    perturb: Perturb,
) -> None:
    flow = _flow(shape, scales).to(dtype)
    perturb(flow, 0.05)
    x = torch.rand(4, *shape, dtype=dtype) * 2 - 1
    z, log_det = flow(x)
    assert z.shape == (4, math.prod(shape))
    assert log_det.shape == (4,)
    assert log_det.abs().max() > 0.1
    assert (flow.inverse(z) - x).abs().max() <= tolerance
    z = torch.randn(4, math.prod(shape), dtype=dtype)
    assert (flow(flow.inverse(z))[0] - z).abs().max() <= tolerance


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8)])
@pytest.mark.parametrize("scales", [1, 2, 3])
def test_log_det_is_that_of_the_jacobian(
    shape: tuple[int, int, int], scales: int, perturb: Perturb
) -> None:
    flow = _flow(shape, scales).double()
    perturb(flow, 0.1)
    x = torch.randn(1, *shape, dtype=torch.float64)
    _, log_det = flow(x)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0], x)
    expected = torch.linalg.slogdet(jacobian.reshape(flow.dims, flow.dims)).logabsdet
    assert abs(expected) > 0.1
    torch.testing.assert_close(log_det, expected[None], rtol=0, atol=1e-9)


def test_density_of_a_chain_integrates_to_one(perturb: Perturb) -> None:
    """The flow's own couplings on two dimensions, summed over a fine grid."""
    chain = _couplings(2, hidden=8, blocks=1, length=4).double()
    perturb(chain, 0.3)
    side = torch.linspace(-12, 12, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side).reshape(-1, 2, 1, 1)
    with torch.no_grad():
        z, log_det = chain(grid)
        density = (standard_normal_log_prob(z) + log_det).exp()
        gaussian = standard_normal_log_prob(grid).exp()
    cell = (side[1] - side[0]).item() ** 2
    assert (density.sum() * cell).item() == pytest.approx(1, abs=1e-2)
    # Far from the base density, so the log-determinant is put to the test.
    assert ((density - gaussian).abs().sum() * cell).item() > 0.5


def test_density_of_a_flow_integrates_to_one(perturb: Perturb) -> None:
    """Four dimensions, by importance sampling from a wider Gaussian."""
    flow = _flow((1, 2, 2), scales=1).double()
    perturb(flow, 0.15)
    n, width = 100_000, 2.0
    x = width * torch.randn(n, 1, 2, 2, dtype=torch.float64)
    proposal = standard_normal_log_prob(x / width) - 4 * math.log(width)
    with torch.no_grad():
        weights = (flow.log_prob(x) - proposal).exp()
    error = weights.std().item() / math.sqrt(n)
    assert error < 0.01
    # Tolerance: 4 standard errors.
    assert weights.mean().item() == pytest.approx(1, abs=4 * error)


def test_a_fresh_flow_is_a_permutation_of_the_pixels() -> None:
    flow = _flow((3, 8, 8))
    x = torch.randn(2, 3, 8, 8)
    z, log_det = flow(x)
    assert torch.equal(z.sort().values, x.flatten(1).sort().values)
    assert torch.equal(log_det, torch.zeros(2))


def test_half_of_the_pixels_leave_at_each_scale(perturb: Perturb) -> None:
    """The first latents come from the first scale: later scales do not touch them."""
    flow = _flow((1, 8, 8), scales=3)
    x = torch.randn(2, 1, 8, 8)
    before, _ = flow(x)
    perturb(flow.last, 0.3)
    perturb(flow.scales[1], 0.3)
    after, _ = flow(x)
    assert torch.equal(after[:, :32], before[:, :32])
    assert (after[:, 32:] != before[:, 32:]).float().mean() > 0.9


def test_temperature_scales_the_latents() -> None:
    flow = _flow((1, 8, 8))
    warm, cool = (
        flow.sample(4, torch.Generator().manual_seed(1), temperature=t) for t in (0.2, 0.1)
    )
    assert warm.abs().max() < 1
    torch.testing.assert_close(warm, 2 * cool)
    assert torch.equal(flow.sample(2, temperature=0), torch.zeros(2, 1, 8, 8))


def test_huge_inputs_stay_finite(perturb: Perturb) -> None:
    flow = _flow((1, 8, 8))
    perturb(flow, 1.0)
    _, log_det = flow(1e6 * torch.randn(8, 1, 8, 8))
    # 64 pixels: half of them in each of the six couplings of the first scale, and half of the
    # remaining 32 in each of the last four.
    assert log_det.abs().max() <= MAX_LOG_SCALE * (6 * 32 + 4 * 16)


def test_loss_is_the_mean_nll(perturb: Perturb) -> None:
    flow = _flow((1, 8, 8))
    perturb(flow, 0.1)
    x = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(flow.loss(x), -flow.log_prob(x).mean() / 64)
    expected = -flow.log_prob(x) / 64 / math.log(2) + 7
    torch.testing.assert_close(flow.bits_per_dim(x), expected.detach())


@pytest.mark.parametrize("shape", [(1, 10, 8), (1, 8, 10)])
def test_sides_must_divide(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="scales=2 needs sides divisible by 4, got"):
        _flow(shape)


def test_odd_sides_have_no_preset_that_works() -> None:
    with pytest.raises(ValueError, match="scales=1 needs sides divisible by 2, got 7x7"):
        build("realnvp", shape=(1, 7, 7))


@pytest.mark.parametrize("shape", [(2, 63), (64,), (2, 1, 8, 8)])
def test_bad_latents(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"z must have shape \(N, 64\), got"):
        _flow((1, 8, 8)).inverse(torch.zeros(shape))
