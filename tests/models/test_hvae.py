import math
from typing import Any, cast

import pytest
import torch
from tests.models.linear_gaussian import LATENT, LinearGaussian, linear_gaussian
from torch import Tensor

from mollitune.models import HVAE, build
from mollitune.models._gaussian import diagonal_log_prob, standard_normal_log_prob
from mollitune.models._leapfrog import leapfrog

MASSES = ["encoder", "identity"]


def _hvae(**hparams: Any) -> HVAE:
    model = build("hvae", shape=(1, 4, 4), **{"hidden": 8, "latent": 3, **hparams})
    return cast("HVAE", model.double())


def _batch(n: int = 6) -> Tensor:
    return torch.randn(n, 1, 4, 4, dtype=torch.float64)


def _misplaced(name: str, **hparams: Any) -> LinearGaussian:
    """The linear encoder's means lie two deviations away from the exact posterior's."""
    torch.manual_seed(0)
    exact = linear_gaussian(name, shrink=1.0, **hparams)
    bias = exact.model.encoder[1].bias  # type: ignore[index]
    with torch.no_grad():
        bias[:LATENT] += 2 * torch.exp(0.5 * bias[LATENT : 2 * LATENT])
    return exact


def _seeded_bound(exact: LinearGaussian, x: Tensor) -> Tensor:
    torch.manual_seed(5)
    return exact.bound(x)


@pytest.mark.parametrize("mass", MASSES)
@pytest.mark.parametrize("tempering", ["none", "fixed", "free"])
def test_weights_are_those_of_the_change_of_variables(tempering: str, mass: str) -> None:
    """Target of the pair over its density, from first principles and autograd's Jacobian."""
    model, x = _hvae(leapfrog=3, tempering=tempering, mass=mass), _batch(1)
    code, factors = model._code(x), model.tempering.factors()
    torch.manual_seed(1)
    z, log_ratio = model._latents(x, code, None)
    torch.manual_seed(1)
    first, noise = code.draw(None)[0], torch.randn(3, dtype=torch.float64)
    temperature = factors.prod() ** -2
    momentum = temperature.sqrt() * noise

    def flow(pair: Tensor) -> Tensor:
        halves = pair[None, :3], pair[None, 3:]
        ends = leapfrog(*halves, lambda z: model._force(x, z), model._steps(code), factors)
        return torch.cat(ends, dim=1)[0]

    start = torch.cat((first, momentum))
    end = flow(start)
    log_det = torch.linalg.slogdet(torch.autograd.functional.jacobian(flow, start)).logabsdet
    log_q = diagonal_log_prob(first[None], code.mean, code.log_variance)
    log_q = log_q + diagonal_log_prob(momentum[None], torch.zeros(3), temperature.log()) - log_det
    torch.testing.assert_close(z[0], end[:3], rtol=0, atol=1e-12)
    expected = standard_normal_log_prob(end[None]) - log_q
    torch.testing.assert_close(log_ratio, expected, rtol=0, atol=1e-9)
    assert (end[:3] - first).abs().max() > 0.01


@pytest.mark.parametrize("mass", MASSES)
def test_the_bound_is_between_the_elbo_and_the_likelihood(mass: str) -> None:
    """With an encoder that is off by two standard deviations, so that there is much to gain."""
    vae = _misplaced("vae")
    x, bounds = vae.sample(4000), {}
    for step_size, kind in ((0.1, "none"), (0.2, "none"), (0.2, "fixed"), (0.4, "fixed")):
        hvae = _misplaced("hvae", leapfrog=5, tempering=kind, step_size=step_size, mass=mass)
        bound = _seeded_bound(hvae, x)
        for gap in (bound - _seeded_bound(vae, x), vae.log_p(x) - bound):
            assert gap.mean() > 4 * gap.std() / math.sqrt(len(gap))
        bounds[kind, step_size] = bound.mean()
    # The dynamics keep the energy, and with it the ELBO; friction lets the pair settle.
    assert mass == "identity" or bounds["fixed", 0.2] > bounds["none", 0.2] + 0.3


def test_encoder_mass_keeps_the_steps_stable_as_sigma_falls() -> None:
    """Whatever the decoder's sigma, the same loss of bound; with unit mass the path explodes."""
    losses = {}
    for mass in MASSES:
        for sigma in (0.3, 0.01):
            hparams = {"leapfrog": 3, "tempering": "none", "step_size": 0.2, "mass": mass}
            torch.manual_seed(0)
            exact = linear_gaussian("hvae", shrink=1.0, sigma=sigma, **hparams)
            x = exact.sample(500)
            losses[mass, sigma] = (exact.log_p(x) - exact.bound(x)).mean()
    assert losses["encoder", 0.3] < 0.01
    assert losses["encoder", 0.01] < 0.01
    assert losses["identity", 0.3] < 0.1
    assert losses["identity", 0.01] > 1000


def test_the_force_is_the_gradient_of_the_target() -> None:
    model, x = _hvae(), _batch()
    z = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    log_p = diagonal_log_prob(x, model.decode(z), model.variance.current())
    (expected,) = torch.autograd.grad((log_p + standard_normal_log_prob(z)).sum(), z)
    with torch.no_grad():
        torch.testing.assert_close(model._force(x, z), expected)


@pytest.mark.parametrize("parameter", ["raw_step", "tempering.raw", "decoder.0.4.weight"])
def test_gradients_pass_through_the_dynamics(parameter: str) -> None:
    """Second derivatives of the decoder, against finite differences of the loss."""
    model, x = _hvae(leapfrog=2, tempering="fixed", sigma="learned"), _batch()
    value = model.get_parameter(parameter)
    direction = torch.randn_like(value)

    def loss() -> Tensor:
        torch.manual_seed(1)
        return model.loss(x)

    (gradient,) = torch.autograd.grad(loss(), value)
    losses = []
    for shift in (1e-5, -2e-5):
        with torch.no_grad():
            value.add_(shift * direction)
            losses.append(loss())
    slope = (losses[0] - losses[1]) / 2e-5
    assert slope.abs() > 1e-6
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-5, atol=1e-9)


def test_one_decoder_gradient_more_than_steps() -> None:
    model, calls = _hvae(leapfrog=4), []
    model.decoder.register_forward_hook(lambda *_: calls.append(1))
    model.loss(_batch())
    assert len(calls) == 4 + 1 + 1  # and once for the reconstruction


def test_steps_start_as_asked_and_stay_bounded() -> None:
    for step_size in (0.05, 0.4):
        model = _hvae(step_size=step_size, mass="identity")
        code = model._code(_batch())
        torch.testing.assert_close(model._steps(code), torch.full((3,), step_size).double())
    with torch.no_grad():
        model.raw_step.fill_(100.0)
    assert (model._steps(code) <= 0.5).all()
    model.mass = "encoder"
    torch.testing.assert_close(model._steps(code), 0.5 * (0.5 * code.log_variance).exp())
