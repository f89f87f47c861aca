import math
from typing import cast

import torch
from tests.models.flows import perturb
from torch import Tensor

from mollitune.models import MAF, build
from mollitune.models._maf import _Block


def _flow(shape: tuple[int, ...], blocks: int = 3, hidden: int = 12) -> MAF:
    return cast("MAF", build("maf", shape=shape, blocks=blocks, hidden=hidden))


def test_jacobi_iteration_equals_one_dimension_at_a_time() -> None:
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


def test_samples_of_images_are_clamped_and_those_of_vectors_are_not() -> None:
    assert _flow((4,)).sample(200).abs().max() > 2
    assert _flow((1, 2, 2)).sample(200).abs().max() == 1


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


def test_actnorm_follows_when_the_noise_ends() -> None:
    """Train through noise that ends: the latents of clean data come out standard normal."""
    clean = 0.5 + torch.randn(512, 2) @ torch.tensor([[0.3, 0.2], [0.0, 0.15]])
    flow = build("maf", shape=(2,), blocks=2, hidden=16, actnorm_init="mollified")
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
