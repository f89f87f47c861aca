from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mollitune.models._made import MADE

Perturb = Callable[[nn.Module, float], None]
SIZES = [(1, 4), (2, 3), (5, 3), (5, 4), (5, 16), (64, 8)]


def _jacobians(net: MADE, dims: int, context: Tensor | None = None) -> list[Tensor]:
    x = torch.randn(1, dims, dtype=torch.float64)
    jacobians = torch.autograd.functional.jacobian(lambda v: net(v, context), x)
    return [jacobian.reshape(dims, dims) for jacobian in jacobians]


@pytest.mark.parametrize(("dims", "hidden"), SIZES)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_outputs_see_earlier_inputs_only(
    dims: int, hidden: int, layers: int, perturb: Perturb
) -> None:
    net = MADE(dims, hidden, layers=layers, outputs=3).double()
    perturb(net, 1.0)
    for jacobian in _jacobians(net, dims):
        assert torch.equal(jacobian.triu(), torch.zeros(dims, dims).double())


@pytest.mark.parametrize(("dims", "hidden"), SIZES)
def test_every_input_but_the_last_is_seen(dims: int, hidden: int, perturb: Perturb) -> None:
    net = MADE(dims, hidden).double()
    perturb(net, 1.0)
    seen = torch.stack(_jacobians(net, dims)).abs().sum(0)
    assert (seen.sum(0)[:-1] > 0).all()
    assert (seen.sum(1)[1:] > 0).all() or hidden < dims - 1
    if hidden >= dims - 1:  # wide enough for every pair
        assert torch.equal(seen > 0, torch.ones(dims, dims).tril(-1).bool())


def test_the_context_reaches_every_output(perturb: Perturb) -> None:
    net = MADE(4, 8, context=3).double()
    perturb(net, 1.0)
    x = torch.randn(1, 4, dtype=torch.float64)
    context = torch.randn(1, 3, dtype=torch.float64)
    for jacobian in torch.autograd.functional.jacobian(lambda c: net(x, c), context):
        assert (jacobian != 0).all()
    for jacobian in _jacobians(net, 4, context):
        assert torch.equal(jacobian.triu(), torch.zeros(4, 4).double())


def test_rows_are_independent(perturb: Perturb) -> None:
    net = MADE(5, 8)
    perturb(net, 0.5)
    x = torch.randn(3, 5)
    before = net(x)
    x[1] += 1
    for old, new in zip(before, net(x), strict=True):
        assert torch.equal(old[[0, 2]], new[[0, 2]])
