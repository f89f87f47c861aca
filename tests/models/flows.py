"""What every invertible map must satisfy; each check is given one, in float64, no identity."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mollitune.models._gaussian import standard_normal_log_prob


def perturb(module: nn.Module, std: float) -> None:
    """Add Gaussian noise to all parameters: fresh couplings are identities and prove nothing."""
    with torch.no_grad():
        for parameter in module.parameters():
            # in the order of the values, not of memory: layouts must not matter here
            parameter.add_(std * torch.randn(parameter.shape, dtype=parameter.dtype))


def check_inverse(layer: Any, x: Tensor, z: Tensor, tolerance: float) -> None:
    """Both round trips, from ``x`` and from latents ``z``."""
    with torch.no_grad():
        latents, log_det = layer(x)
        assert log_det.abs().max() > 0.1
        assert (latents.shape, log_det.shape) == (z.shape, (len(x),))
        assert (layer.inverse(latents) - x).abs().max() <= tolerance
        assert (layer(layer.inverse(z))[0] - z).abs().max() <= tolerance


def check_jacobian(layer: Any, x: Tensor) -> None:
    """The log-determinant of one row ``x`` is that of autograd's Jacobian."""
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v)[0], x, vectorize=True)
    expected = torch.linalg.slogdet(jacobian.reshape(x.numel(), x.numel())).logabsdet
    assert abs(expected) > 0.1
    torch.testing.assert_close(layer(x)[1].detach(), expected[None], rtol=0, atol=1e-9)


def check_integral(log_prob: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    """A density of two dimensions, summed over a fine grid, is 1 and not the base density."""
    side = torch.linspace(-15, 15, 501, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side).reshape(-1, *shape)
    with torch.no_grad():
        density = log_prob(grid).exp()
        gaussian = standard_normal_log_prob(grid).exp()
    cell = (side[1] - side[0]).item() ** 2
    assert abs((density.sum() * cell).item() - 1) < 1e-2
    # Far from the base density, so the log-determinant is put to the test.
    assert ((density - gaussian).abs().sum() * cell).item() > 0.5


def check_integral_by_sampling(flow: Any, widening: float) -> None:
    """The same in more dimensions, by importance sampling from a Gaussian fitted to samples."""
    n = 40_000
    with torch.no_grad():
        draws = flow.inverse(torch.randn(n // 4, flow.dims, dtype=torch.float64))
        # A little wider than the samples, for the sake of the tails.
        scale, mean = widening * draws.std(0), draws.mean(0)
        noise = torch.randn(n, *flow.shape, dtype=torch.float64)
        proposal = standard_normal_log_prob(noise) - scale.log().sum()
        weights = (flow.log_prob(mean + scale * noise) - proposal).exp()
    error = weights.std().item() / math.sqrt(n)
    assert error < 0.01
    # Tolerance: 4 standard errors.
    assert abs(weights.mean().item() - 1) < 4 * error
