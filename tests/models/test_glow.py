import itertools
import math
from typing import Any, cast

import torch
from tests.models.flows import perturb
from torch import Tensor, nn

from mollitune.models import Glow, build, preset
from mollitune.models._actnorm import ActNorm
from mollitune.models._coupling import MAX_LOG_SCALE, AffineCoupling, SigmoidScale
from mollitune.models._coupling_nets import GlowNet, ZeroConv
from mollitune.models._multiscale import Chain

Shape = tuple[int, int, int]


def _flow(shape: Shape, levels: int = 2, steps: int = 2, **hparams: Any) -> Glow:
    given = {"hidden": 6, **hparams}
    return cast("Glow", build("glow", shape=shape, levels=levels, steps=steps, **given))


def _trained_looking(flow: Glow, std: float = 0.02) -> Glow:
    """Perturbed weights, then ActNorm fitted, as at the start of training but no identity."""
    perturb(flow, std)
    dtype = next(flow.parameters()).dtype
    flow.initialise(torch.rand(16, *flow.shape, dtype=dtype) * 2 - 1)
    return flow


def test_a_fresh_flow_shrinks_by_the_sigmoid_of_two() -> None:
    """Networks start at zero: only the half that each coupling transforms is scaled."""
    flow = _flow((3, 8, 8), levels=2, steps=3)
    _, log_det = flow(torch.randn(2, 3, 8, 8))
    # Three steps on 192 dimensions and three on 96, half of which are scaled in each.
    expected = 3 * (96 + 48) * math.log(torch.sigmoid(torch.tensor(2.0)))
    torch.testing.assert_close(log_det, torch.full((2,), expected), rtol=0, atol=1e-3)


def test_the_prior_of_what_leaves_sees_what_stays() -> None:
    """The last coupling of a level shifts and scales the latents that leave, and only those."""
    flow = _flow((1, 8, 8))
    x = torch.randn(2, 1, 8, 8)
    before, log_det = flow(x)
    level = cast("Chain", flow.scales[0])
    prior = cast("AffineCoupling", level[-1])
    perturb(prior, 0.3)
    after, other_log_det = flow(x)
    assert (after[:, :32] != before[:, :32]).all()
    assert torch.equal(after[:, 32:], before[:, 32:])
    assert (other_log_det != log_det).all()


def test_the_last_level_ends_in_a_learned_scale() -> None:
    flow = _flow((1, 8, 8))
    x = 3 + 0.2 * torch.randn(256, 1, 8, 8)
    flow.initialise(x)
    top = flow(x)[0][:, 32:].detach().reshape(256, 8, 4)
    std, mean = torch.std_mean(top, dim=(0, 2), correction=0)
    torch.testing.assert_close(mean, torch.zeros(8), rtol=0, atol=1e-4)
    torch.testing.assert_close(std, torch.ones(8), rtol=0, atol=1e-4)


def test_autocast_reaches_the_networks_only() -> None:
    flow = _trained_looking(_flow((3, 8, 8), hidden=32), std=0.05)
    x = torch.rand(32, 3, 8, 8) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16):
        z, log_det = flow(x)
        loss = flow.loss(x)
    loss.backward()
    assert z.dtype == log_det.dtype == loss.dtype == torch.float32
    for key, parameter in flow.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    exact_z, exact_log_det = flow(x)
    assert not torch.equal(z, exact_z)
    # The networks round to 2^-9. Over four seeds that made .016, 1.1e-4 and 6e-5; three times as
    # much is allowed. A state in bfloat16 would cost .003 of log-determinant per dimension.
    assert (z - exact_z).abs().max() < 0.05
    assert (log_det - exact_log_det).abs().max() / flow.dims < 3e-4
    assert (loss - flow.loss(x)).abs() < 2e-4


def test_one_coupling_expands_samples_by_a_factor_of_twenty_at_most() -> None:
    """Towards the latents the scale is a sigmoid: what it shrinks to nothing has no way back."""
    for weight in (1e2, 1e6, 1e12):
        coupling = AffineCoupling(_Constant(-weight), SigmoidScale())
        z = torch.randn(100, 4, 2, 2)
        x = coupling.inverse(z)
        torch.testing.assert_close(x[:, 2:], math.exp(MAX_LOG_SCALE) * z[:, 2:])
        back, log_det = coupling(x)
        torch.testing.assert_close(back, z)
        torch.testing.assert_close(log_det, torch.full((100,), -8 * MAX_LOG_SCALE))


class _Constant(nn.Module):
    """Says one number for every log-scale, and no shift."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, a: Tensor) -> Tensor:
        return torch.cat((torch.full_like(a, self.value), torch.zeros_like(a)), dim=1)


def test_a_coupling_at_the_floor_can_return() -> None:
    raw = torch.tensor([-50.0, -50.0], requires_grad=True)
    floor = SigmoidScale()(raw)
    torch.testing.assert_close(floor, torch.full((2,), -MAX_LOG_SCALE))
    # Descent on the first raises it, on the second it would lead further out.
    (floor * torch.tensor([-1.0, 1.0])).sum().backward()
    assert raw.grad is not None
    assert raw.grad[0] < 0
    assert raw.grad[1] == 0


def test_the_networks_start_at_zero_and_may_grow() -> None:
    net = GlowNet(3, 8, 5)
    assert torch.equal(net(torch.randn(2, 3, 4, 4)), torch.zeros(2, 5, 4, 4))
    conv = ZeroConv(3, 5)
    nn.init.normal_(conv.conv.weight)
    x = torch.randn(2, 3, 4, 4)
    plain = conv(x)
    nn.init.constant_(conv.raw_log_gain, 0.5)
    torch.testing.assert_close(conv(x), math.exp(1.5) * plain)


def test_layers_per_level() -> None:
    flow = _flow((3, 16, 16), levels=3, steps=5)
    actnorms = [module for module in flow.modules() if isinstance(module, ActNorm)]
    # Five steps a level and one more at the top.
    assert [len(layer.bias) for layer in actnorms] == 5 * [12] + 5 * [24] + 6 * [48]


def test_presets_fit_the_sides() -> None:
    """Sides that cannot be halved so often get fewer levels; the registry's tests build them."""
    for which, side in itertools.product(("quick", "paper"), (2, 4, 6, 8, 12, 28, 48, 64, 128)):
        levels = preset("glow", (1, side, side), which)["levels"]
        assert 1 <= levels <= 4
        assert side % 2**levels == 0
