import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from mollitune.models._gaussian import (
    MIN_LOG_VARIANCE,
    AnalyticVariance,
    DecoderVariance,
    LearnedVariance,
    UnitVariance,
    decoder_variance,
    diagonal_log_prob,
    kl_to_standard_normal,
    shared_log_prob,
    squared_errors,
    standard_normal_log_prob,
)


def fitted_to(variance: DecoderVariance, x: Tensor, mean: Tensor) -> Tensor:
    return variance.fitted(squared_errors(x, mean), x[0].numel())


def test_log_probs_agree_with_torch_distributions() -> None:
    x, mean, log_variance = torch.randn(3, 6, 2, 3, 4, dtype=torch.float64)
    expected = Normal(mean, (0.5 * log_variance).exp()).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(diagonal_log_prob(x, mean, log_variance), expected)
    expected = Normal(0.0, 1.0).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(standard_normal_log_prob(x), expected)
    # a scalar is shared by all dimensions
    expected = Normal(mean, 0.3).log_prob(x).sum((1, 2, 3))
    shared = torch.tensor(2 * math.log(0.3), dtype=torch.float64)
    torch.testing.assert_close(diagonal_log_prob(x, mean, shared), expected)
    torch.testing.assert_close(shared_log_prob(squared_errors(x, mean), shared, 24), expected)


def test_squared_errors_of_several_draws_for_each_image() -> None:
    x, draws = torch.randn(6, 2, 3, 4), torch.randn(5, 6, 2, 3, 4)
    expected = torch.stack([squared_errors(x, mean) for mean in draws])
    assert expected.shape == (5, 6)
    torch.testing.assert_close(expected[1, 2], (x[2] - draws[1, 2]).square().sum())
    torch.testing.assert_close(squared_errors(x, draws), expected)


def test_one_image_sized_tensor_is_held_for_the_gradient() -> None:
    """Besides what the decoder needs for itself: the memory of a step is what limits batches."""
    x, held = torch.randn(2, 3, 4, 4), []
    mean = torch.randn(2, 3, 4, 4, requires_grad=True)

    def pack(tensor: Tensor) -> Tensor:
        held.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        squares = squared_errors(x, mean)
        shared_log_prob(squares, AnalyticVariance().fitted(squares, 48), 48).mean()
    assert held.count(x.numel()) == 1


def test_kl_agrees_with_torch_distributions() -> None:
    mean, log_variance = 3 * torch.randn(2, 20, 7, dtype=torch.float64)
    q = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), kl_divergence(q, p))


def test_analytic_variance_is_the_mean_squared_error() -> None:
    x, mean = torch.randn(2, 8, 1, 4, 4)
    variance = AnalyticVariance()
    fitted = fitted_to(variance, x, mean)
    torch.testing.assert_close(fitted.exp(), (x - mean).square().mean())
    for _ in range(200):
        fitted_to(variance, x, mean)
    torch.testing.assert_close(variance.current(), fitted)


def test_neither_a_bad_batch_nor_evaluation_moves_the_running_mean() -> None:
    variance = AnalyticVariance()
    fitted = fitted_to(variance, torch.full((2, 1, 2, 2), torch.nan), torch.zeros(2, 1, 2, 2))
    assert fitted.isnan()
    assert variance.current().item() == 0.0
    variance.eval()
    assert fitted_to(variance, torch.ones(2, 1, 2, 2), torch.full((2, 1, 2, 2), 0.9)).item() == 0
    assert variance.running.item() == 1


@pytest.mark.parametrize("sigma", ["analytic", "learned"])
def test_the_floor_holds(sigma: str) -> None:
    variance = decoder_variance(sigma)
    x = torch.ones(2, 1, 2, 2)
    with torch.no_grad():
        for parameter in variance.parameters():
            parameter.fill_(-100.0)
        for buffer in variance.buffers():
            buffer.zero_()
    assert fitted_to(variance, x, x).item() == pytest.approx(MIN_LOG_VARIANCE)
    assert variance.current().item() == pytest.approx(MIN_LOG_VARIANCE)


def test_learned_variance_leaves_the_floor_when_the_error_grows() -> None:
    variance = LearnedVariance()
    with torch.no_grad():
        variance.raw.fill_(-2.0)
    x, mean = torch.ones(4, 1, 2, 2), torch.zeros(4, 1, 2, 2)
    (-diagonal_log_prob(x, mean, variance.current())).mean().backward()
    assert variance.raw.grad is not None
    assert variance.raw.grad.item() < 0


def test_unit_variance_is_one_in_the_loss_only() -> None:
    for dtype in (torch.float32, torch.float64):
        variance = UnitVariance(0.1).to(dtype)
        x = torch.randn(2, 1, 2, 2, dtype=dtype)
        assert fitted_to(variance, x, x).item() == 0
        assert torch.equal(variance.current(), torch.tensor(math.log(0.1), dtype=dtype))
        assert not variance.state_dict()
