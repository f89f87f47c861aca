import pytest
import torch

from mollitune.models._clamp import clamp_inward


def test_values_are_those_of_clamp() -> None:
    x = torch.linspace(-3, 3, 25, dtype=torch.float64)
    torch.testing.assert_close(clamp_inward(x, -1, 2), x.clamp(-1, 2))


def test_inside_the_gradient_is_one() -> None:
    x = torch.linspace(-0.9, 1.9, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: clamp_inward(v, -1, 2), x)


@pytest.mark.parametrize(
    ("start", "upstream", "passes"),
    [
        (-5.0, -1.0, True),  # below the range, descent raises x: back in
        (-5.0, 1.0, False),  # below the range, descent would lower x: further out
        (5.0, 1.0, True),
        (5.0, -1.0, False),
    ],
)
def test_outside_only_the_inward_gradient_passes(
    start: float, upstream: float, passes: bool
) -> None:
    x = torch.tensor(start, requires_grad=True)
    (upstream * clamp_inward(x, -1, 1)).backward()
    assert x.grad is not None
    assert x.grad.item() == (upstream if passes else 0.0)


def test_works_under_vmap() -> None:
    x = torch.tensor([-5.0, 0.0, 5.0])
    grads = torch.vmap(torch.func.grad(lambda v: clamp_inward(v, -1, 1)))(x)
    assert grads.tolist() == [0.0, 1.0, 1.0]
