import math
from typing import cast

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


def test_analytic_loss_in_training_and_in_evaluation() -> None:
    model = cast("VAE", build("vae", shape=(1, 4, 4), hidden=4, latent=2, sigma="analytic"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    x = 0.1 * torch.randn(8, 1, 4, 4)
    # Zero weights: the decoder says 0 and the KL vanishes. The running variance is 1 at first.
    expected = 0.5 * (math.log(2 * math.pi) + x.square().mean())
    torch.testing.assert_close(model.eval().loss(x), expected)
    assert model.variance.current().item() == 0
    expected = 0.5 * (2 * math.pi * math.e * x.square().mean()).log()
    torch.testing.assert_close(model.train().loss(x), expected)
