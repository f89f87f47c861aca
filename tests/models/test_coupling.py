import math

import pytest
import torch
from tests.models.flows import perturb

from mollitune.models._coupling import MAX_LOG_SCALE, AffineCoupling, TanhScale
from mollitune.models._coupling_nets import ResNet


def _coupling(flip: bool, channels: int = 4) -> AffineCoupling:
    net = ResNet(channels // 2, 8, channels, blocks=1)
    return AffineCoupling(net, TanhScale(channels // 2), flip=flip).double()


@pytest.mark.parametrize("flip", [False, True])
def test_starts_as_the_identity_and_only_one_half_changes(flip: bool) -> None:
    coupling = _coupling(flip)
    x = torch.randn(3, 4, 2, 2, dtype=torch.float64)
    y, log_det = coupling(x)
    assert torch.equal(y, x)
    assert torch.equal(log_det, torch.zeros(3).double())
    perturb(coupling, 0.3)
    first, second = (coupling(x)[0] != x).chunk(2, dim=1)
    assert first.all() if flip else second.all()
    assert not (second.any() if flip else first.any())


def test_log_scale_is_bounded() -> None:
    coupling = _coupling(flip=False, channels=2)
    perturb(coupling, 100.0)
    # One pixel and one transformed channel: the log-determinant is the log-scale.
    for magnitude in (1.0, 1e12):
        _, log_det = coupling(magnitude * torch.randn(50, 2, 1, 1, dtype=torch.float64))
        # Weights this large do reach the bound, so the test would see a looser one.
        assert 0.99 * MAX_LOG_SCALE < log_det.abs().max() <= MAX_LOG_SCALE


def test_gain_starts_where_the_log_scale_is_a_plain_tanh() -> None:
    gain = TanhScale(3).gain
    torch.testing.assert_close(MAX_LOG_SCALE * gain.tanh(), torch.ones_like(gain))
    assert math.isclose(math.exp(MAX_LOG_SCALE), 20, rel_tol=0.01)
