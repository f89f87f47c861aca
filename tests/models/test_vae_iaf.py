import math
from typing import Any, cast

import pytest
import torch
from tests.models.flows import perturb
from torch import Tensor, nn

from mollitune.models import VAEIAF, build
from mollitune.models._gaussian import diagonal_log_prob, standard_normal_log_prob


def _vae_iaf(std: float = 0.0, **hparams: Any) -> VAEIAF:
    defaults = {"hidden": 8, "latent": 4, "flows": 2, "flow_hidden": 8, "context": 3}
    model = cast("VAEIAF", build("vae_iaf", shape=(1, 4, 4), **{**defaults, **hparams})).double()
    perturb(model, std)
    return model


def _jacobian(model: VAEIAF, z: Tensor, context: Tensor) -> Tensor:
    """Of one row's transformation, shape ``(latent, latent)``."""
    jacobian = torch.autograd.functional.jacobian(
        lambda z: model._transform(z[None], context)[0][0], z[0]
    )
    return cast("Tensor", jacobian)


@pytest.mark.parametrize(("latent", "flows"), [(1, 3), (2, 1), (5, 3)])
def test_density_is_the_change_of_variables(latent: int, flows: int) -> None:
    model = _vae_iaf(0.5, latent=latent, flows=flows)
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    code = model._code(x)
    torch.manual_seed(1)
    z, log_ratio = model._latents(x, code, None)
    torch.manual_seed(1)
    first = code.draw(None)
    log_det = torch.linalg.slogdet(_jacobian(model, first, code.context)).logabsdet
    assert abs(log_det) > 0.1
    log_q = diagonal_log_prob(first, code.mean, code.log_variance) - log_det
    expected = standard_normal_log_prob(z) - log_q
    torch.testing.assert_close(log_ratio, expected, rtol=0, atol=1e-9)


def test_one_step_is_triangular_and_two_are_not() -> None:
    """The order is reversed between the steps, so that all dimensions depend on all."""
    z, context = (torch.randn(1, n, dtype=torch.float64) for n in (4, 3))
    # A step reverses first: its own Jacobian is lower triangular in the reversed order.
    one = _jacobian(_vae_iaf(0.5, flows=1), z, context).flip(1)
    assert one.triu(1).count_nonzero() == 0
    assert one.tril().count_nonzero() == 10
    two = _jacobian(_vae_iaf(0.5, flows=2), z, context)
    assert two.count_nonzero() == 16


def test_a_fresh_flow_hardly_moves() -> None:
    """Gates near sigmoid(1.5) and small shifts."""
    model = _vae_iaf(latent=8, flow_hidden=64, flows=4)
    z, context = torch.randn(100, 8).double(), torch.randn(100, 3).double()
    moved, log_det = model._transform(z, context)
    gate = 1 / (1 + math.exp(-1.5))
    assert (log_det / (4 * 8)).mean().item() == pytest.approx(math.log(gate), abs=0.02)
    assert (moved - gate**4 * z).abs().max() < 0.3


def test_gates_may_close() -> None:
    """Far out in the parameters nothing overflows."""
    model = _vae_iaf(0.5)
    with torch.no_grad():
        for step in model.flows:
            cast("Any", step).net.last.bias[model.latent :] = -1e4
    x = torch.randn(4, 1, 4, 4, dtype=torch.float64)
    loss = model.loss(x)
    loss.backward()
    assert loss.isfinite()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_the_context_steers_the_flow_and_may_be_left_out() -> None:
    model = _vae_iaf(0.5)
    z = torch.randn(1, 4, dtype=torch.float64)
    context = torch.randn(2, 1, 3, dtype=torch.float64)
    assert not torch.equal(model._transform(z, context[0])[0], model._transform(z, context[1])[0])
    without = _vae_iaf(context=0)
    assert without.loss(torch.randn(4, 1, 4, 4, dtype=torch.float64)).isfinite()


def test_mixed_precision_ends_at_the_networks() -> None:
    """The gates are computed in float32 from what the network says in bfloat16."""
    step = cast("Any", _vae_iaf().float().flows[0])
    first, context = torch.randn(4, 4), torch.randn(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z, log_det = step(first, context)
        shift, raw = (out.float() for out in step.net(first, context))
    log_gate = nn.functional.logsigmoid(raw + 1.5)
    torch.testing.assert_close(log_det, log_gate.sum(1))
    torch.testing.assert_close(z, log_gate.exp() * (first - shift) + shift)
