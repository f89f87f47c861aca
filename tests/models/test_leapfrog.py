import math

import pytest
import torch
from torch import Tensor

from mollitune.models._leapfrog import leapfrog
from mollitune.models._tempering import make_tempering

ONE = torch.ones((), dtype=torch.float64)


def _force(z: Tensor) -> Tensor:
    """Of a bumpy potential that couples the dimensions; not too stiff for the steps below."""
    return -z - 0.5 * torch.sin(3 * z) - 0.3 * z.flip(-1)


def _start(n: int, latent: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    z, p = torch.randn(2, n, latent, dtype=torch.float64)
    return z, p, 0.1 + 0.3 * torch.rand(n, latent, dtype=torch.float64)


def test_one_step_by_hand() -> None:
    z, p = leapfrog(ONE, 0 * ONE, lambda z: -z, 0.5 * ONE, [0.5 * ONE])
    # Half a kick -.25, a drift with that momentum, half a kick -.21875 there, and the factor.
    assert z.item() == 0.875
    assert p.item() == 0.5 * (-0.25 - 0.21875)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_it_is_reversible(steps: int) -> None:
    z, p, step = _start(50)
    there = leapfrog(z, p, _force, step, [ONE] * steps)
    back = leapfrog(there[0], -there[1], _force, step, [ONE] * steps)
    assert (there[0] - z).abs().max() > 0.1
    assert (back[0] - z).abs().max() <= 1e-12
    assert (-back[1] - p).abs().max() <= 1e-12


@pytest.mark.parametrize("tempering", ["none", "fixed", "free"])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_determinant_is_that_of_the_factors(tempering: str, steps: int) -> None:
    latent = 3
    z, p, step = _start(1, latent)
    factors = make_tempering(tempering, steps).double().factors()

    def flow(pair: Tensor) -> Tensor:
        return torch.cat(leapfrog(pair[:latent], pair[latent:], _force, step[0], factors))

    jacobian = torch.autograd.functional.jacobian(flow, torch.cat((z[0], p[0])))
    sign, log_det = torch.linalg.slogdet(jacobian)
    assert sign == 1
    torch.testing.assert_close(log_det, latent * factors.log().sum(), rtol=0, atol=1e-9)
    assert (log_det.abs() > 0.1) == (tempering != "none")


def test_a_harmonic_oscillator_keeps_its_shadow_energy() -> None:
    """For ``U = z^2 / 2`` leapfrog conserves ``(1 - step^2 / 4) z^2 + p^2`` exactly."""
    z, p, step = _start(50)
    energy = (1 - step.square() / 4) * z.square() + p.square()
    z, p = leapfrog(z, p, lambda z: -z, step, [ONE] * 9)
    torch.testing.assert_close((1 - step.square() / 4) * z.square() + p.square(), energy)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_one_gradient_more_than_steps(steps: int) -> None:
    calls = 0

    def force(z: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return -z

    z, p, step = _start(2)
    leapfrog(z, p, force, step, [ONE] * steps)
    assert calls == steps + 1


def test_steps_of_different_rows_do_not_mix() -> None:
    z, p, step = _start(4)
    together = leapfrog(z, p, _force, step, [0.9 * ONE] * 3)
    alone = leapfrog(z[2:3], p[2:3], _force, step[2:3], [0.9 * ONE] * 3)
    for rows, row in zip(together, alone, strict=True):
        assert torch.equal(rows[2:3], row)


def test_fine_steps_follow_the_true_path() -> None:
    """The oscillator's circle: the error falls with the square of the step."""
    errors = []
    for steps in (20, 40):
        z, p = leapfrog(ONE, 0 * ONE, lambda z: -z, ONE / steps, [ONE] * steps)
        errors.append(math.hypot(z.item() - math.cos(1), p.item() + math.sin(1)))
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.01)
