import torch

from mollitune.models._clamp import clamp_inward


def test_values_are_those_of_clamp() -> None:
    x = torch.linspace(-3, 3, 25, dtype=torch.float64)
    torch.testing.assert_close(clamp_inward(x, -1, 2), x.clamp(-1, 2))


def test_inside_the_gradient_is_one() -> None:
    x = torch.linspace(-0.9, 1.9, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: clamp_inward(v, -1, 2), x)


def test_outside_only_the_inward_gradient_passes() -> None:
    # Below the range, descent by -1 raises x: back in; by 1 it would lower it: further out.
    x = torch.tensor([-5.0, -5.0, 5.0, 5.0], requires_grad=True)
    (torch.tensor([-1.0, 1.0, 1.0, -1.0]) * clamp_inward(x, -1, 1)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.0, 0.0, 1.0, 0.0]
