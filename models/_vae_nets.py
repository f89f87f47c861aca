"""Encoders and decoders of the VAE family.

There is no BatchNorm: its running statistics would lag behind the noise level of mollified data.
Decoders end in a linear layer, because mollified targets leave [-1, 1].
"""

from math import ceil, log2, prod

from torch import Tensor, nn
from torch.nn.functional import pad

from ._checks import Shape

_MAX_WIDENING = 8


def mlp_nets(
    shape: Shape, latent: int, hidden: int, context: int = 0
) -> tuple[nn.Module, nn.Module]:
    """Two hidden layers each way, for vectors, and images of a few hundred pixels at most.

    Returns:
        The encoder, ``(N, *shape)`` to ``(N, 2 * latent + context)``, and the decoder,
        ``(N, latent)`` to ``(N, *shape)``.
    """
    dims = prod(shape)
    encoder = nn.Sequential(nn.Flatten(), _mlp(dims, hidden, 2 * latent + context))
    decoder = nn.Sequential(_mlp(latent, hidden, dims), nn.Unflatten(1, shape))
    return encoder, decoder


def conv_nets(
    shape: Shape, latent: int, hidden: int, context: int = 0
) -> tuple[nn.Module, nn.Module]:
    """Strided convolutions down to at most 4x4 and back, ``hidden`` channels at the first stage.

    The width doubles with each stage, up to 8 times ``hidden``: 32-64-128 for 28x28 and 32x32.

    Returns:
        The encoder, ``(N, C, H, W)`` to ``(N, 2 * latent + context)``, and the decoder,
        ``(N, latent)`` to ``(N, C, H, W)``.
    """
    stages = max(1, ceil(log2(max(shape[1:]) / 4)))
    widths = [hidden * min(2**stage, _MAX_WIDENING) for stage in range(stages)]
    height, width = (ceil(side / 2**stages) for side in shape[1:])
    padded = (height * 2**stages, width * 2**stages)
    features = widths[-1] * height * width
    encoder = nn.Sequential(
        _Resize(padded),
        _down(shape[0], widths),
        nn.Flatten(),
        nn.Linear(features, 2 * latent + context),
    )
    decoder = nn.Sequential(
        nn.Linear(latent, features),
        nn.Unflatten(1, (widths[-1], height, width)),
        _up(widths, shape[0]),
        _Resize(shape[1:]),
    )
    return encoder, decoder


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, outputs),
    )


def _down(channels: int, widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip([channels, *widths], widths, strict=False):
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), _norm(outputs), nn.SiLU()]
    return nn.Sequential(*layers)


def _up(widths: list[int], channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    outputs = [*reversed(widths[:-1]), channels]
    for inputs, output in zip(reversed(widths), outputs, strict=True):
        layers += [_norm(inputs), nn.SiLU()]
        layers += [nn.ConvTranspose2d(inputs, output, 4, stride=2, padding=1)]
    return nn.Sequential(*layers)


def _norm(channels: int) -> nn.GroupNorm:
    # As many groups of at least four channels as divide the width, at most eight.
    groups = max(g for g in range(1, 9) if channels % g == 0 and (channels >= 4 * g or g == 1))
    return nn.GroupNorm(groups, channels)


class _Resize(nn.Module):
    """Pads with zeros, or crops, to a height and width, around the centre."""

    def __init__(self, size: Shape) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        # A negative pad crops.
        rows, columns = (to - side for to, side in zip(self.size, x.shape[2:], strict=True))
        top, left = int(rows / 2), int(columns / 2)
        return pad(x, (left, columns - left, top, rows - top))
