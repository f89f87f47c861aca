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


def test_it_is_reversible() -> None:
    z, p, step = _start(50)
    for steps in (1, 2, 7):
        there = leapfrog(z, p, _force, step, [ONE] * steps)
        back = leapfrog(there[0], -there[1], _force, step, [ONE] * steps)
        assert (there[0] - z).abs().max() > 0.1
        assert (back[0] - z).abs().max() <= 1e-12
        assert (-back[1] - p).abs().max() <= 1e-12


def test_fine_steps_follow_the_true_path() -> None:
    """The oscillator's circle: the error falls with the square of the step."""
    errors = []
    for steps in (20, 40):
        z, p = leapfrog(ONE, 0 * ONE, lambda z: -z, ONE / steps, [ONE] * steps)
        errors.append(math.hypot(z.item() - math.cos(1), p.item() + math.sin(1)))
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.01)


def test_the_factors_end_at_temperature_one() -> None:
    for kind, temperature, steps in (("none", 1.0, 2), ("fixed", 1.5, 1), ("fixed", 1.5, 5)):
        factors = make_tempering(kind, steps).factors()
        assert factors.shape == (steps,)
        assert factors.prod().item() == pytest.approx(temperature**-0.5)


def test_fixed_tempering_is_quadratic() -> None:
    tempering = make_tempering("fixed", 3)
    with torch.no_grad():
        for parameter in tempering.parameters():
            parameter.fill_(math.log(8.0))
    # Temperatures 9, 9 - 8/9, 9 - 32/9 and 1.
    expected = torch.tensor([73 / 81, 49 / 73, 9 / 49]).sqrt()
    torch.testing.assert_close(tempering.factors(), expected)


def test_learned_factors_cool_whatever_the_parameters() -> None:
    torch.testing.assert_close(make_tempering("free", 4).factors(), torch.full((4,), 0.9))
    for kind in ("fixed", "free"):
        tempering = make_tempering(kind, 3)
        for value in (-10.0, 0.0, 10.0):
            with torch.no_grad():
                for parameter in tempering.parameters():
                    parameter.fill_(value)
            factors = tempering.factors()
            assert ((factors > 0) & (factors <= 1)).all()
