import math
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from mollitune.models import Glow, build, preset
from mollitune.models._actnorm import ActNorm
from mollitune.models._coupling import MAX_LOG_SCALE, AffineCoupling, SigmoidScale
from mollitune.models._coupling_nets import GlowNet, ZeroConv
from mollitune.models._gaussian import standard_normal_log_prob
from mollitune.models._glow import _step
from mollitune.models._multiscale import Chain
from mollitune.schedules import Linear

Perturb = Callable[[nn.Module, float], None]
Shape = tuple[int, int, int]


def _flow(shape: Shape, levels: int = 2, steps: int = 2, **hparams: Any) -> Glow:
    given = {"hidden": 6, **hparams}
    return cast("Glow", build("glow", shape=shape, levels=levels, steps=steps, **given))


def _trained_looking(flow: Glow, perturb: Perturb, std: float = 0.02) -> Glow:
    """Perturbed weights, then ActNorm fitted, as at the start of training but no identity."""
    perturb(flow, std)
    dtype = next(flow.parameters()).dtype
    flow.initialise(torch.rand(16, *flow.shape, dtype=dtype) * 2 - 1)
    return flow


@pytest.mark.parametrize(
    ("shape", "levels"),
    [((1, 8, 8), 2), ((3, 8, 8), 3), ((1, 28, 28), 2), ((3, 32, 32), 3), ((3, 64, 64), 4)],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_inverse(
    shape: Shape, levels: int, dtype: torch.dtype, tolerance: float, perturb: Perturb
) -> None:
    flow = _trained_looking(_flow(shape, levels).to(dtype), perturb)
    dims = math.prod(shape)
    x = torch.rand(4, *shape, dtype=dtype) * 2 - 1
    with torch.no_grad():
        z, log_det = flow(x)
        assert z.shape == (4, dims)
        assert log_det.shape == (4,)
        assert log_det.abs().min() > 0.1
        assert (flow.inverse(z) - x).abs().max() <= tolerance
        z = torch.randn(4, dims, dtype=dtype)
        assert (flow(flow.inverse(z))[0] - z).abs().max() <= tolerance


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8)])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_log_det_is_that_of_the_jacobian(shape: Shape, levels: int, perturb: Perturb) -> None:
    flow = _trained_looking(_flow(shape, levels).double(), perturb, std=0.1)
    x = torch.randn(1, *shape, dtype=torch.float64)
    _, log_det = flow(x)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0], x, vectorize=True)
    expected = torch.linalg.slogdet(jacobian.reshape(flow.dims, flow.dims)).logabsdet
    assert abs(expected) > 1
    torch.testing.assert_close(log_det, expected[None], rtol=0, atol=1e-9)


def test_density_of_steps_integrates_to_one(perturb: Perturb) -> None:
    """The flow's own steps on two dimensions, summed over a fine grid."""
    chain = Chain(_step(2, hidden=8) for _ in range(4)).double()
    perturb(chain, 0.1)
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


@pytest.mark.parametrize(("levels", "std", "widening"), [(1, 0.1, 1.3), (2, 0.02, 1.1)])
def test_density_of_a_flow_integrates_to_one(
    levels: int, std: float, widening: float, perturb: Perturb
) -> None:
    """Four and sixteen dimensions, by importance sampling from a Gaussian fitted to samples."""
    side, n = 2**levels, 40_000
    flow = _flow((1, side, side), levels).double()
    perturb(flow, std)
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
    assert weights.mean().item() == pytest.approx(1, abs=4 * error)


def test_a_fresh_flow_shrinks_by_the_sigmoid_of_two() -> None:
    """Networks start at zero: only the half that each coupling transforms is scaled."""
    flow = _flow((3, 8, 8), levels=2, steps=3)
    _, log_det = flow(torch.randn(2, 3, 8, 8))
    # Three steps on 192 dimensions and three on 96, half of which are scaled in each.
    expected = 3 * (96 + 48) * math.log(torch.sigmoid(torch.tensor(2.0)))
    torch.testing.assert_close(log_det, torch.full((2,), expected), rtol=0, atol=1e-3)


def test_half_of_the_dimensions_leave_at_each_level(perturb: Perturb) -> None:
    """The first latents come from the first level: later levels do not touch them."""
    flow = _flow((1, 8, 8), levels=3)
    x = torch.randn(2, 1, 8, 8)
    before, _ = flow(x)
    perturb(flow.last, 0.3)
    perturb(flow.scales[1], 0.3)
    after, _ = flow(x)
    assert torch.equal(after[:, :32], before[:, :32])
    assert (after[:, 32:] != before[:, 32:]).all()


def test_the_prior_of_what_leaves_sees_what_stays(perturb: Perturb) -> None:
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


def _images(n: int) -> Tensor:
    """Smooth Gaussian images of standard deviation .3 and mean .2, with neighbours alike."""
    coarse, fine = torch.randn(n, 1, 4, 4), torch.randn(n, 1, 8, 8)
    smooth = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return 0.2 + 0.3 * (math.sqrt(0.7) * smooth + math.sqrt(0.3) * fine)


@pytest.mark.parametrize("actnorm_init", ["clean", "mollified"])
def test_latents_are_standardised_when_the_noise_ends(actnorm_init: str) -> None:
    """ActNorm is fitted once, to another noise level than the last, and learning makes up for it.

    Statistics that lagged behind, or stayed as fitted, would leave the latents of clean data at
    a fraction of the standard deviation 1 that they were fitted to.
    """
    schedule, steps = Linear(until=0.4), 300
    flow = _flow((1, 8, 8), steps=1, hidden=16, actnorm_init=actnorm_init)
    clean, noise = _images(2000), torch.Generator().manual_seed(1)
    flow.initialise(clean[:256], schedule(clean[:256], 0.0, generator=noise))
    if actnorm_init == "mollified":
        assert flow(clean)[0].std() < 0.5
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
    for step in range(steps):
        optimizer.zero_grad()
        flow.loss(schedule(_images(64), step / steps, generator=noise)).backward()
        optimizer.step()
    with torch.no_grad():
        latents = flow(clean)[0]
        std, mean = torch.std_mean(latents, dim=0)
        assert torch.equal(flow.eval()(clean)[0], latents)
    # Standard errors are .022 and .016, and the last steps of Adam still jitter: over six seeds
    # and 64 dimensions the largest deviations were .11 and .08; twice as much is allowed.
    assert mean.abs().max() < 0.22
    assert (std - 1).abs().max() < 0.16
    assert std.mean().item() == pytest.approx(1, abs=0.05)


def test_autocast_reaches_the_networks_only(perturb: Perturb) -> None:
    flow = _trained_looking(_flow((3, 8, 8), hidden=32), perturb, std=0.05)
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


def test_evaluation_ignores_autocast(perturb: Perturb) -> None:
    flow = _trained_looking(_flow((3, 8, 8)), perturb)
    x = torch.rand(4, 3, 8, 8) * 2 - 1
    expected = flow.bits_per_dim(x), flow.sample(4, torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        found = flow.bits_per_dim(x), flow.sample(4, torch.Generator().manual_seed(1))
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("weight", [1e2, 1e6, 1e12])
def test_one_coupling_expands_samples_by_a_factor_of_twenty_at_most(weight: float) -> None:
    """Towards the latents the scale is a sigmoid: what it shrinks to nothing has no way back."""
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


def test_huge_weights_leave_samples_finite_in_one_step(perturb: Perturb) -> None:
    step = _step(4, hidden=8)
    coupling = cast("AffineCoupling", step[-1])
    perturb(coupling.net[0], 100.0)  # type: ignore[index]
    conv = cast("ZeroConv", coupling.net[-1])  # type: ignore[index]
    perturb(conv.conv, 1e6)
    x = step.inverse(torch.randn(64, 4, 4, 4))
    assert x.abs().max() > 1e6
    assert x.isfinite().all()
    z, log_det = step(x)
    assert z.isfinite().all()
    # 32 values are scaled, each between 1/20 and 1; the rest of the step is a rotation.
    assert (log_det >= -32 * MAX_LOG_SCALE - 1e-2).all()
    assert (log_det <= 1e-2).all()


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


@pytest.mark.parametrize("which", ["quick", "paper"])
@pytest.mark.parametrize("side", [2, 4, 6, 8, 12, 28, 32, 48, 64, 128])
def test_presets_fit_the_sides(which: str, side: int) -> None:
    """Sides that cannot be halved so often get fewer levels."""
    hparams = preset("glow", (1, side, side), which)
    assert 1 <= hparams["levels"] <= 4
    assert side % 2 ** hparams["levels"] == 0
    small: dict[str, Any] = {"steps": 1, "hidden": 2}
    flow = build("glow", shape=(1, side, side), preset=which, **small)
    assert cast("Glow", flow)(torch.randn(1, 1, side, side))[0].shape == (1, side**2)


@pytest.mark.parametrize("shape", [(1, 10, 8), (1, 8, 10)])
def test_sides_must_divide(shape: Shape) -> None:
    with pytest.raises(ValueError, match="levels=2 needs sides divisible by 4, got"):
        _flow(shape)


@pytest.mark.parametrize("name", ["levels", "steps", "hidden"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "2"])
def test_bad_hyperparameters(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be an integer >= 1, got {value!r}"):
        build("glow", shape=(1, 8, 8), **{name: value})


@pytest.mark.parametrize("shape", [(2, 63), (64,), (2, 1, 8, 8)])
def test_bad_latents(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"z must have shape \(N, 64\), got"):
        _flow((1, 8, 8)).inverse(torch.zeros(shape))
