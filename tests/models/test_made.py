import itertools

import torch
from tests.models.flows import perturb
from torch import Tensor

from mollitune.models._made import MADE

SIZES = [(1, 4), (2, 3), (5, 3), (5, 4), (64, 8)]


def _jacobians(net: MADE, dims: int, context: Tensor | None = None) -> list[Tensor]:
    x = torch.randn(1, dims, dtype=torch.float64)
    jacobians = torch.autograd.functional.jacobian(lambda v: net(v, context), x)
    return [jacobian.reshape(dims, dims) for jacobian in jacobians]


def test_outputs_see_earlier_inputs_and_only_those() -> None:
    for (dims, hidden), (layers, outputs) in itertools.product(SIZES, ((1, 3), (2, 2), (3, 3))):
        net = MADE(dims, hidden, layers=layers, outputs=outputs).double()
        perturb(net, 1.0)
        jacobians = _jacobians(net, dims)
        for jacobian in jacobians:
            assert torch.equal(jacobian.triu(), torch.zeros(dims, dims).double())
        seen = torch.stack(jacobians).abs().sum(0)
        assert (seen.sum(0)[:-1] > 0).all()
        if hidden >= dims - 1:  # wide enough for every pair
            assert torch.equal(seen > 0, torch.ones(dims, dims).tril(-1).bool())


def test_the_context_reaches_every_output() -> None:
    net = MADE(4, 8, context=3).double()
    perturb(net, 1.0)
    x = torch.randn(1, 4, dtype=torch.float64)
    context = torch.randn(1, 3, dtype=torch.float64)
    for jacobian in torch.autograd.functional.jacobian(lambda c: net(x, c), context):
        assert (jacobian != 0).all()
    for jacobian in _jacobians(net, 4, context):
        assert torch.equal(jacobian.triu(), torch.zeros(4, 4).double())
