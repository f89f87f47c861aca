import math
from typing import cast

import pytest
import torch
from tests.models.linear_gaussian import linear_gaussian

from mollitune.models import VAE, build


def test_training_loss_is_the_negative_elbo() -> None:
    """Closed-form KL in training, sampled ratio in evaluation: equal means."""
    exact = linear_gaussian(shrink=0.8)
    x = exact.sample(1).expand(20_000, -1, -1, -1)
    with torch.no_grad():
        loss = exact.model.loss(x)
    draws = -exact.bound(x) / exact.model.dims
    # Both are means over 20,000 draws and the loss has the smaller variance: with 6 standard
    # errors of the draws the tolerance is more than 4 standard errors of the difference.
    assert abs(loss - draws.mean()) < 6 * draws.std() / math.sqrt(20_000)


def test_analytic_loss_is_half_the_log_mse() -> None:
    model = build("vae", shape=(1, 4, 4), hidden=4, latent=2, sigma="analytic")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    x = torch.randn(8, 1, 4, 4)
    # Zero weights: the decoder says 0 and the KL vanishes.
    expected = 0.5 * (2 * math.pi * math.e * x.square().mean()).log()
    torch.testing.assert_close(model.loss(x), expected)


def test_in_evaluation_mode_the_loss_has_the_running_variance() -> None:
    model = cast("VAE", build("vae", shape=(1, 4, 4), hidden=4, latent=2, sigma="analytic"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    x = 0.1 * torch.randn(8, 1, 4, 4)
    # The running variance is 1 at first.
    expected = 0.5 * (math.log(2 * math.pi) + x.square().mean())
    torch.testing.assert_close(model.eval().loss(x), expected)
    assert model.variance.current().item() == 0


def test_huge_inputs_have_a_finite_loss() -> None:
    assert build("vae", shape=(1, 4, 4)).loss(1e4 * torch.randn(16, 1, 4, 4)).isfinite()


def test_unit_variance_is_not_for_the_plain_vae() -> None:
    with pytest.raises(ValueError, match="unknown sigma 'unit'; allowed: analytic, learned"):
        build("vae", shape=(1, 4, 4), sigma="unit")
