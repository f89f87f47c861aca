import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from mollitune.models._coupling import MAX_LOG_SCALE, AffineCoupling, TanhScale
from mollitune.models._coupling_nets import ResNet

Perturb = Callable[[nn.Module, float], None]


def _coupling(flip: bool, channels: int = 4) -> AffineCoupling:
    net = ResNet(channels // 2, 8, channels, blocks=1)
    return AffineCoupling(net, TanhScale(channels // 2), flip=flip).double()


@pytest.mark.parametrize("flip", [False, True])
def test_starts_as_the_identity(flip: bool) -> None:
    x = torch.randn(3, 4, 2, 2, dtype=torch.float64)
    y, log_det = _coupling(flip)(x)
    assert torch.equal(y, x)
    assert torch.equal(log_det, torch.zeros(3).double())


@pytest.mark.parametrize("flip", [False, True])
def test_only_one_half_changes(flip: bool, perturb: Perturb) -> None:
    coupling = _coupling(flip)
    perturb(coupling, 0.3)
    x = torch.randn(3, 4, 2, 2, dtype=torch.float64)
    changed = coupling(x)[0] != x
    first, second = changed.chunk(2, dim=1)
    assert first.all() if flip else second.all()
    assert not (second.any() if flip else first.any())


@pytest.mark.parametrize("flip", [False, True])
def test_inverse_and_jacobian(flip: bool, perturb: Perturb) -> None:
    coupling = _coupling(flip)
    perturb(coupling, 0.3)
    x = torch.randn(1, 4, 2, 2, dtype=torch.float64)
    y, log_det = coupling(x)
    torch.testing.assert_close(coupling.inverse(y), x, rtol=0, atol=1e-12)
    jacobian = torch.autograd.functional.jacobian(lambda v: coupling(v)[0], x).reshape(16, 16)
    expected = torch.linalg.slogdet(jacobian).logabsdet
    assert abs(expected) > 0.1
    torch.testing.assert_close(log_det, expected[None], rtol=0, atol=1e-9)


@pytest.mark.parametrize("magnitude", [1.0, 1e3, 1e12])
def test_log_scale_is_bounded(magnitude: float, perturb: Perturb) -> None:
    coupling = _coupling(flip=False, channels=2)
    perturb(coupling, 100.0)
    # One pixel and one transformed channel: the log-determinant is the log-scale.
    _, log_det = coupling(magnitude * torch.randn(50, 2, 1, 1, dtype=torch.float64))
    assert log_det.abs().max() <= MAX_LOG_SCALE
    # Weights this large do reach the bound, so the test would see a looser one.
    assert log_det.abs().max() > 0.99 * MAX_LOG_SCALE


def test_gain_starts_where_the_log_scale_is_a_plain_tanh() -> None:
    gain = TanhScale(3).gain
    torch.testing.assert_close(MAX_LOG_SCALE * gain.tanh(), torch.ones_like(gain))
    assert math.isclose(math.exp(MAX_LOG_SCALE), 20, rel_tol=0.01)
