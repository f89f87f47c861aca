import torch
from tests.models.flows import perturb
from torch import Tensor

from mollitune.models._invertible import Invertible1x1


def _matrix(layer: Invertible1x1) -> Tensor:
    """The matrix that the layer applies, column by column."""
    channels = len(layer.sign)
    units = torch.eye(channels, dtype=layer.sign.dtype).reshape(channels, channels, 1, 1)
    rows: Tensor = layer(units)[0]
    return rows.flatten(1).detach().T


def test_starts_as_a_rotation() -> None:
    for channels in (2, 12, 48):
        layer = Invertible1x1(channels).double()
        matrix, one = _matrix(layer), torch.eye(channels).double()
        # The factors were computed in single precision.
        torch.testing.assert_close(matrix @ matrix.T, one, rtol=0, atol=1e-5)
        assert layer(torch.zeros(1, channels, 3, 5).double())[1].abs() < 1e-4
        assert (matrix - one).abs().max() > 0.1


def test_the_matrix_is_the_product_of_its_factors() -> None:
    layer = Invertible1x1(5).double()
    perturb(layer, 0.3)
    factors = layer.factors.detach()
    lower = factors.tril(-1) + torch.eye(5)
    upper = factors.triu(1) + (layer.sign * factors.diagonal().exp()).diag()
    torch.testing.assert_close(_matrix(layer), layer.permutation @ lower @ upper)
    x = torch.randn(3, 5, 2, 4, dtype=torch.float64)
    expected = torch.einsum("ij,njhw->nihw", _matrix(layer), x)
    torch.testing.assert_close(layer(x)[0], expected)


def test_only_the_factors_are_learned_and_the_rest_is_saved() -> None:
    first, second = Invertible1x1(12), Invertible1x1(12)
    assert [key for key, _ in first.named_parameters()] == ["factors"]
    assert first.state_dict().keys() == {"factors", "permutation", "sign"}
    for sums in (*(first.permutation.sum(axis) for axis in (0, 1)), first.sign.abs()):
        assert torch.equal(sums, torch.ones(12))
    perturb(first, 0.1)
    assert not torch.equal(first.permutation, second.permutation)
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 12, 3, 3)
    assert torch.equal(first(x)[0], second(x)[0])
    assert torch.equal(first.inverse(x), second.inverse(x))


def test_the_inverse_matrix_is_as_good_as_single_precision_can_be() -> None:
    """Inverting in single precision would lose 4e-5 here, at a condition number of 840."""
    layer = Invertible1x1(24)
    with torch.no_grad():
        layer.factors.diagonal().sub_(0.8)
    exact = torch.linalg.inv(_matrix(layer.double()))
    inverse = layer.float().inverse(torch.eye(24)[:, :, None, None]).detach().flatten(1).T
    # One rounding of each entry, beside what is lost in double precision.
    assert ((inverse - exact).abs() <= 2**-24 * exact.abs() + 1e-9).all()


def test_autocast_does_not_touch_it() -> None:
    layer = Invertible1x1(8)
    perturb(layer, 0.1)
    x = torch.randn(2, 8, 4, 4)
    expected = (*layer(x), layer.inverse(x))
    with torch.autocast("cpu", torch.bfloat16):
        found = (*layer(x), layer.inverse(x))
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)
