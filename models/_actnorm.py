"""Activation normalisation: an affine map per channel, fitted once to data."""

from typing import cast

import torch
from torch import Tensor, nn

MIN_STD = 1e-6
GAIN = 3.0
"""Log-scales are ``GAIN * raw``: they have far to go when the noise ends, as in Glow's code."""


class ActNorm(nn.Module):
    r"""The map :math:`y = (x + b) \exp(s)` with :math:`b` and :math:`s` learned per channel.

    It starts as the identity; ``initialise`` sets mean 0 and variance 1 per channel of one batch,
    after which both are parameters like any other. There are no running statistics: nothing can
    lag behind the noise level of mollified data, and training and evaluation agree.

    Args:
        channels: number of channels; the second axis of the input.
        spatial: how many axes follow the channels' (2 for images, 0 for vectors).

    | Glow: Generative Flow with Invertible 1x1 Convolutions (Kingma and Dhariwal, 2018)
    """

    def __init__(self, channels: int, spatial: int = 2) -> None:
        super().__init__()
        size = (channels, *(1,) * spatial)
        self.bias = nn.Parameter(torch.zeros(size))
        self.raw_log_scale = nn.Parameter(torch.zeros(size))

    @property
    def log_scale(self) -> Tensor:
        """The log-scale :math:`s`, shape ``(C, 1, 1)`` or ``(C,)``."""
        return GAIN * self.raw_log_scale

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: returns the image of ``x`` and the log-determinant, shape ``(N,)``."""
        positions = x[0, 0].numel()
        log_det = self.log_scale.sum() * positions
        return (x + self.bias) * self.log_scale.exp(), log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data."""
        return z * torch.exp(-self.log_scale) - self.bias

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Gives the image of ``x`` mean 0 and variance 1 in every channel.

        A channel without variance, a standard deviation below 1e-6, keeps the scale 1: any large
        one would be raised to the power of the depth by the ActNorms that follow, and overflow.
        """
        axes = (0, *range(2, x.ndim))
        std, mean = torch.std_mean(x, dim=axes, correction=0, keepdim=True)
        self.bias.copy_(-mean[0])
        std = torch.where(std < MIN_STD, 1, std)
        self.raw_log_scale.copy_(-std[0].log() / GAIN)


def initialise_actnorms(model: nn.Module, x: Tensor) -> None:
    """Runs ``model`` on ``x`` once and fits every ActNorm to the activations that reach it.

    Layers are fitted in the order in which the data pass them, each behind fitted ones.
    """
    layers = [module for module in model.modules() if isinstance(module, ActNorm)]
    if not layers:
        return
    hooks = [layer.register_forward_pre_hook(_fit) for layer in layers]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()


def _fit(layer: nn.Module, inputs: tuple[Tensor]) -> None:
    cast("ActNorm", layer).initialise(*inputs)
