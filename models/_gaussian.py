"""Gaussian densities, and the decoder's variance that follows the noise level of the data."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ._checks import check_choice
from ._clamp import clamp_inward

MIN_LOG_VARIANCE = -10.0
"""Floor of the decoder's log-variance: a standard deviation of .0067, about one byte's cell."""

_LEARNING_GAIN = 10.0
_AVERAGING_RATE = 0.1


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """Log density of ``N(0, I)`` in nats: shape ``(N, ...)`` to ``(N,)``."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)


def diagonal_log_prob(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log density of ``N(mean, diag(exp(log_variance)))`` in nats: ``(N, ...)`` to ``(N,)``.

    ``log_variance`` may be a scalar shared by all dimensions; see also `shared_log_prob`.
    """
    squares = (x - mean).square() * torch.exp(-log_variance)
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).flatten(1).sum(1)


def squared_errors(x: Tensor, mean: Tensor) -> Tensor:
    """Sums of the squared differences: ``(N, ...)`` to ``(N,)``.

    The mean may have more axes in front, which the result then has, too.
    """
    return (x - mean).square().flatten(mean.dim() - x.dim() + 1).sum(-1)


def shared_log_prob(squares: Tensor, log_variance: Tensor, dims: int) -> Tensor:
    """Log density in nats of ``N(mean, exp(log_variance) I)``, a scalar for all dimensions.

    Taken from the `squared_errors`, of any shape, so that no image-sized tensor but the
    difference is held for the gradient.

    Args:
        squares: sums over so many dimensions.
        log_variance: scalar.
        dims: dimensions of an image.
    """
    scaled = squares * torch.exp(-log_variance)
    return -0.5 * (scaled + dims * (log_variance + math.log(2 * math.pi)))


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """``KL(N(mean, diag(exp(log_variance))) || N(0, I))`` in nats: ``(N, L)`` to ``(N,)``."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class DecoderVariance(nn.Module, ABC):
    """One variance shared by all pixels of the decoder's Gaussian.

    While training data is mollified, the noise is part of what the decoder has to explain, and
    the variance has to fall with it; so no implementation may lag behind or stick at its floor.
    """

    @abstractmethod
    def fitted(self, squares: Tensor, dims: int) -> Tensor:
        """Log-variance (scalar) for the loss of a batch with these `squared_errors`."""

    @abstractmethod
    def current(self) -> Tensor:
        """Log-variance (scalar) to evaluate with."""


class LearnedVariance(DecoderVariance):
    """A parameter, ``log sigma^2``, that starts at 0: the variance of pure noise."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(()))

    def fitted(self, squares: Tensor, dims: int) -> Tensor:
        """The parameter, whatever the batch."""
        return self.current()

    def current(self) -> Tensor:
        """The parameter."""
        # Adam moves a parameter by about its learning rate a step, whatever the gradient's size.
        # At 1e-3, log sigma^2 would need 4,000 steps to fall from 0 to -4, more than a short run
        # has; the gain makes that 400.
        return clamp_inward(_LEARNING_GAIN * self.raw, MIN_LOG_VARIANCE)


class AnalyticVariance(DecoderVariance):
    """The maximum-likelihood variance: the mean squared error itself (sigma-VAE).

    Training uses the batch's own error, with its gradient, which makes the reconstruction term
    ``log MSE / 2`` per dimension. Evaluation, also that of a loss in evaluation mode, uses a
    running mean of that error, whose memory of about ten steps is short against any schedule.
    """

    running: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running", torch.ones(()))

    def fitted(self, squares: Tensor, dims: int) -> Tensor:
        """The log of the batch's mean squared error; also updates the running mean."""
        if not self.training:
            return self.current()
        mse = squares.mean() / dims
        with torch.no_grad():
            # One bad batch must not make every later evaluation NaN; its loss shows it anyway.
            update = torch.where(mse.isfinite(), mse, self.running)
            self.running.mul_(1 - _AVERAGING_RATE).add_(_AVERAGING_RATE * update)
        return mse.clamp(min=math.exp(MIN_LOG_VARIANCE)).log()

    def current(self) -> Tensor:
        """The log of the running mean."""
        return self.running.clamp(min=math.exp(MIN_LOG_VARIANCE)).log()


class UnitVariance(DecoderVariance):
    """Variance 1 in the loss, and a given one in evaluation.

    Args:
        evaluated_at: the variance (not its log) that makes the trained model a likelihood.
    """

    zero: Tensor

    def __init__(self, evaluated_at: float) -> None:
        super().__init__()
        self.log_variance = math.log(evaluated_at)
        # Knows the dtype and the device.
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def fitted(self, squares: Tensor, dims: int) -> Tensor:
        """Zero: variance 1."""
        return self.zero

    def current(self) -> Tensor:
        """The log of ``evaluated_at``."""
        return self.zero + self.log_variance


_VARIANCES: dict[str, Callable[[], DecoderVariance]] = {
    "analytic": AnalyticVariance,
    "learned": LearnedVariance,
}


def decoder_variance(sigma: str, *, unit_evaluated_at: float | None = None) -> DecoderVariance:
    """Builds the decoder's variance.

    Args:
        sigma: ``"analytic"`` or ``"learned"``, or ``"unit"`` if the next argument is given.
        unit_evaluated_at: variance that ``"unit"`` is evaluated with. Without one that is not
            allowed: at variance 1, images in [-1, 1] cost more bits than if they were uniform.

    Raises:
        ValueError: ``sigma`` is unknown.
    """
    choices = dict(_VARIANCES)
    if unit_evaluated_at is not None:
        choices["unit"] = partial(UnitVariance, unit_evaluated_at)
    return choices[check_choice("sigma", sigma, choices)]()
