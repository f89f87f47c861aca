import math
from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from mollitune.models import MAF, build
from mollitune.models._gaussian import standard_normal_log_prob
from mollitune.models._maf import _Block

Perturb = Callable[[nn.Module, float], None]
SHAPES: list[tuple[int, ...]] = [(1,), (2,), (11,), (1, 8, 8), (3, 8, 8), (1, 28, 28)]


def _flow(shape: tuple[int, ...], blocks: int = 3, hidden: int = 12) -> MAF:
    return cast("MAF", build("maf", shape=shape, blocks=blocks, hidden=hidden))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_inverse(
    shape: tuple[int, ...], dtype: torch.dtype, tolerance: float, perturb: Perturb
) -> None:
    flow = _flow(shape).to(dtype)
    perturb(flow, 0.1)
    x = torch.rand(4, *shape, dtype=dtype) * 2 - 1
    with torch.no_grad():
        z, log_det = flow(x)
        assert z.shape == (4, math.prod(shape))
        assert log_det.abs().max() > 0.1
        assert (flow.inverse(z) - x).abs().max() <= tolerance
        z = torch.randn(4, math.prod(shape), dtype=dtype)
        assert (flow(flow.inverse(z))[0] - z).abs().max() <= tolerance


def test_jacobi_iteration_equals_one_dimension_at_a_time(perturb: Perturb) -> None:
    """The textbook inverse: dimension d from the ones before it, D passes per block."""
    flow = _flow((7,), blocks=1).double()
    perturb(flow, 0.5)
    z = torch.randn(5, 7, dtype=torch.float64)
    block = cast("_Block", flow.blocks[0])
    h = torch.zeros_like(z)
    with torch.no_grad():
        for d in range(7):
            log_scale, shift = block._affine(h)
            h[:, d] = z.flip(1)[:, d] * torch.exp(-log_scale[:, d]) - shift[:, d]
        expected = block.actnorm.inverse(h)
        torch.testing.assert_close(flow.inverse(z), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(1,), (2,), (11,), (1, 4, 4)])
def test_log_det_is_that_of_the_jacobian(shape: tuple[int, ...], perturb: Perturb) -> None:
    flow = _flow(shape).double()
    perturb(flow, 0.5)
    x = torch.randn(1, *shape, dtype=torch.float64)
    _, log_det = flow(x)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0], x)
    expected = torch.linalg.slogdet(jacobian.reshape(flow.dims, flow.dims)).logabsdet
    assert abs(expected) > 0.1
    torch.testing.assert_close(log_det, expected[None], rtol=0, atol=1e-9)


def test_density_integrates_to_one(perturb: Perturb) -> None:
    flow = _flow((2,)).double()
    perturb(flow, 0.3)
    side = torch.linspace(-15, 15, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        density = flow.log_prob(grid).exp()
        gaussian = standard_normal_log_prob(grid).exp()
    cell = (side[1] - side[0]).item() ** 2
    assert (density.sum() * cell).item() == pytest.approx(1, abs=1e-2)
    # Far from the base density, so the log-determinant is put to the test.
    assert ((density - gaussian).abs().sum() * cell).item() > 0.5


def test_a_fresh_flow_permutes_the_dimensions() -> None:
    flow, x = _flow((5,), blocks=3), torch.randn(2, 5)
    z, log_det = flow(x)
    assert torch.equal(z, x.flip(1))
    assert torch.equal(log_det, torch.zeros(2))


def test_vectors_are_neither_clamped_nor_bytes(perturb: Perturb) -> None:
    flow = _flow((4,))
    assert flow.sample(200).abs().max() > 2
    x = torch.randn(3, 4)
    expected = -flow.log_prob(x) / 4 / math.log(2)
    torch.testing.assert_close(flow.bits_per_dim(x), expected.detach())


def test_images_are_bytes_in_the_unit_range() -> None:
    flow, x = _flow((1, 2, 2)), torch.rand(3, 1, 2, 2)
    assert flow.sample(200).abs().max() == 1
    expected = -flow.log_prob(x) / 4 / math.log(2) + 7
    torch.testing.assert_close(flow.bits_per_dim(x), expected.detach())


def test_the_inverse_keeps_what_is_not_finite_visible() -> None:
    """An overflow must come out as NaN in its own row, and only there."""
    flow = _flow((3,))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1)
    z = torch.randn(2, 3)
    z[0, 2] = torch.inf
    x = flow.inverse(z)
    assert not x[0].isfinite().all()
    torch.testing.assert_close(x[1], flow.inverse(z[1:])[0])


@pytest.mark.parametrize("init", ["clean", "mollified"])
def test_actnorm_follows_when_the_noise_ends(init: str) -> None:
    """Train through noise that ends: the latents of clean data come out standard normal."""
    clean = 0.5 + torch.randn(512, 2) @ torch.tensor([[0.3, 0.2], [0.0, 0.15]])
    flow = build("maf", shape=(2,), blocks=2, hidden=16, actnorm_init=init)
    flow.initialise(clean, torch.randn(512, 2))
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
    for step in range(400):
        noise = max(0.0, 1 - step / 200)
        x = math.sqrt(1 - noise) * clean + math.sqrt(noise) * torch.randn_like(clean)
        optimizer.zero_grad()
        flow.loss(x).backward()
        optimizer.step()
    z: Tensor = flow(clean)[0]
    # 512 draws tell a mean to .04 and a standard deviation to .03; twice that, and some training.
    assert z.mean(0).abs().max() < 0.15
    assert (z.std(0) - 1).abs().max() < 0.15
    # A Gaussian with the data's own covariance is what a perfect fit reaches here.
    exact = torch.distributions.MultivariateNormal(clean.mean(0), clean.T.cov())
    assert flow.loss(clean) < -exact.log_prob(clean).mean() / 2 + 0.02


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"blocks": 0}, "blocks must be an integer >= 1, got 0"),
        ({"hidden": 1.5}, "hidden must be an integer >= 1, got 1.5"),
        ({"actnorm_init": "noisy"}, "unknown actnorm_init 'noisy'"),
        ({"shape": (2, 3)}, "shape must be three integers .* or one"),
        ({"shape": ()}, "shape must be three integers .* or one"),
    ],
)
def test_bad_arguments(hparams: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("maf", **{"shape": (4,), **hparams})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["vae", "realnvp", "glow"])
def test_models_of_images_refuse_vectors(name: str) -> None:
    with pytest.raises(ValueError, match="shape"):
        build(name, shape=(8,))
