"""Inverse, Jacobian and density of every invertible map, with perturbed weights."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from tests.models.flows import (
    check_integral,
    check_integral_by_sampling,
    check_inverse,
    check_jacobian,
    perturb,
)

from mollitune.models import Flow, build

Shape = tuple[int, ...]
SMALL: dict[str, dict[str, Any]] = {
    "glow": {"hidden": 6, "steps": 2},
    "maf": {"hidden": 12, "blocks": 3},
    "realnvp": {"hidden": 6, "blocks": 1},
}
BOTH = [(torch.float32, 1e-5), (torch.float64, 1e-12)]


def flow(name: str, shape: Shape, std: float, **hparams: Any) -> Flow:
    """A flow that is no identity; ActNorm is fitted in Glow, as at the start of training."""
    made = build(name, shape=shape, **SMALL[name], **hparams).double()
    assert isinstance(made, Flow)
    perturb(made, std)
    if name == "glow":
        made.initialise(torch.rand(16, *shape, dtype=torch.float64) * 2 - 1)
    return made


SHAPES: dict[str, list[tuple[Shape, dict[str, Any]]]] = {
    "glow": [
        *(((1, 8, 8), {"levels": 2}), ((3, 8, 8), {"levels": 3}), ((1, 28, 28), {"levels": 2})),
        ((3, 64, 64), {"levels": 4}),
    ],
    "maf": [((1,), {}), ((2,), {}), ((11,), {}), ((3, 8, 8), {}), ((1, 28, 28), {})],
    "realnvp": [
        *(((1, 8, 8), {"scales": 1}), ((3, 8, 8), {"scales": 2}), ((1, 8, 16), {"scales": 3})),
        ((3, 32, 32), {"scales": 2}),
    ],
}


@pytest.mark.parametrize("name", SHAPES)
def test_flows_are_inverted(name: str) -> None:
    for shape, hparams in SHAPES[name]:
        made = flow(name, shape, {"glow": 0.02, "maf": 0.1, "realnvp": 0.05}[name], **hparams)
        for dtype, tolerance in BOTH:
            x = torch.rand(4, *shape, dtype=dtype) * 2 - 1
            z = torch.randn(4, math.prod(shape), dtype=dtype)
            check_inverse(made.to(dtype), x, z, tolerance)
            made.double()


JACOBIANS: dict[str, list[tuple[Shape, dict[str, Any]]]] = {
    "glow": [((1, 8, 8), {"levels": 1}), ((3, 8, 8), {"levels": 2}), ((1, 8, 8), {"levels": 3})],
    "maf": [((1,), {}), ((2,), {}), ((11,), {}), ((1, 4, 4), {})],
    "realnvp": [
        *(((1, 8, 8), {"scales": n}) for n in (1, 3)),
        *[((3, 8, 8), {"scales": 2}), ((2,), {}), ((11,), {})],
    ],
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_the_log_determinant_of_a_flow_is_that_of_the_jacobian(name: str) -> None:
    for shape, hparams in JACOBIANS[name]:
        made = flow(name, shape, 0.5 if name == "maf" else 0.1, **hparams)
        check_jacobian(made, torch.randn(1, *shape, dtype=torch.float64))


@pytest.mark.parametrize(("name", "std"), [("maf", 0.3), ("realnvp", 0.15)])
def test_the_density_of_two_dimensions_integrates_to_one(name: str, std: float) -> None:
    check_integral(flow(name, (2,), std).log_prob, (2,))


@pytest.mark.parametrize("name", ["maf", "realnvp"])
def test_a_flow_of_vectors_fitted_to_a_gaussian_has_its_density(name: str) -> None:
    """Fresh couplings do nothing: what is left are ActNorms, by the moments of what they saw."""
    x = torch.randn(50, 5, dtype=torch.float64) * torch.tensor([0.2, 1, 3, 0.5, 2]) + 4
    made = flow(name, (5,), 0.0)
    made.initialise(x)
    std, mean = (each.numpy() for each in torch.std_mean(x, dim=0, correction=0))
    expected = norm(mean, std).logpdf(x.numpy()).sum(1)
    np.testing.assert_allclose(made.log_prob(x).detach().numpy(), expected, rtol=1e-9)


def test_the_density_of_a_flow_of_images_integrates_to_one() -> None:
    cases: list[tuple[str, int, dict[str, Any], float, float]] = [
        ("realnvp", 2, {"scales": 1}, 0.15, 1.3),
        ("glow", 2, {"levels": 1}, 0.1, 1.3),
        ("glow", 4, {"levels": 2}, 0.02, 1.1),
    ]
    for name, side, hparams, std, widening in cases:
        made = build(name, shape=(1, side, side), **SMALL[name], **hparams).double()
        perturb(made, std)
        check_integral_by_sampling(made, widening)


FRESH = [("maf", (5,)), ("realnvp", (3, 8, 8)), ("realnvp", (5,))]


@pytest.mark.parametrize(("name", "shape"), FRESH)
def test_a_fresh_flow_is_a_permutation(name: str, shape: Shape) -> None:
    x = torch.randn(2, *shape)
    z, log_det = build(name, shape=shape, **SMALL[name])(x)
    assert torch.equal(z.sort().values, x.flatten(1).sort().values)
    assert torch.equal(log_det, torch.zeros(2))


@pytest.mark.parametrize("name", SMALL)
def test_the_loss_is_the_mean_nll_and_only_images_are_bytes(name: str) -> None:
    for shape in ((1, 8, 8), (4,))[: 1 + (name in ("maf", "realnvp"))]:
        made, x = flow(name, shape, 0.1), torch.randn(5, *shape, dtype=torch.float64)
        nll = -made.log_prob(x) / math.prod(shape)
        torch.testing.assert_close(made.loss(x), nll.mean())
        expected = nll / math.log(2) + (7 if len(shape) == 3 else 0)
        torch.testing.assert_close(made.bits_per_dim(x), expected.detach())


def test_temperature_scales_the_latents() -> None:
    made = build("realnvp", shape=(1, 8, 8), **SMALL["realnvp"])
    warm, cool = (made.sample(4, torch.Generator().manual_seed(1), t) for t in (0.2, 0.1))
    assert warm.abs().max() < 1
    torch.testing.assert_close(warm, 2 * cool)
    assert torch.equal(made.sample(2, temperature=0), torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize("name", ["glow", "realnvp"])
def test_half_of_the_dimensions_leave_at_each_scale(name: str) -> None:
    """The first latents come from the first scale: later scales do not touch them."""
    three: dict[str, Any] = {"levels" if name == "glow" else "scales": 3}
    made: Any = build(name, shape=(1, 8, 8), **SMALL[name], **three)
    x = torch.randn(2, 1, 8, 8)
    before, _ = made(x)
    perturb(made.last, 0.3)
    perturb(made.scales[1], 0.3)
    after, _ = made(x)
    assert torch.equal(after[:, :32], before[:, :32])
    assert (after[:, 32:] != before[:, 32:]).float().mean() > 0.9


@pytest.mark.parametrize(("name", "key"), [("glow", "levels"), ("realnvp", "scales")])
def test_what_does_not_fit_is_refused(name: str, key: str) -> None:
    two: dict[str, Any] = {key: 2}
    for shape in ((1, 10, 8), (1, 8, 10)):
        with pytest.raises(ValueError, match=f"{key}=2 needs sides divisible by 4, got"):
            build(name, shape=shape, **two)
    made: Any = build(name, shape=(1, 8, 8), **SMALL[name])
    for latents in ((2, 63), (64,), (2, 1, 8, 8)):
        with pytest.raises(ValueError, match=r"z must have shape \(N, 64\), got"):
            made.inverse(torch.zeros(latents))
