"""What multi-scale flows share: half of the dimensions leave at each scale but the last."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ._checks import Shape, check_int
from ._flow import Flow
from ._registry import by_side
from ._squeeze import halvings


class Chain(nn.ModuleList):
    """Layers of a flow, one after another: each has ``forward`` and ``inverse`` as here."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: returns the image of ``x`` and the log-determinant, shape ``(N,)``."""
        log_det = x.new_zeros(len(x))
        for layer in self:
            x, layer_log_det = layer(x)
            log_det = log_det + layer_log_det
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data."""
        layers: list[Any] = list(self)
        for layer in reversed(layers):
            z = layer.inverse(z)
        return z


class Rearrange(nn.Module):
    """Moves the values of an image to other places, as a layer of a flow.

    Args:
        there: the rearrangement, ``(N, C, H, W)`` to any image shape.
        back: its inverse.
    """

    def __init__(
        self, there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.there, self.back = there, back

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent; the log-determinant is 0."""
        return self.there(x), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data."""
        return self.back(z)


class MultiscaleFlow(Flow):
    """A flow whose scales each halve the sides and, but for the last, let half of the values go.

    A subclass sets two members, whose layers work as in ``Chain``. The latents that leave are the
    second half of the channels.

    Attributes:
        scales: all but the last, each ``(N, C, H, W)`` to ``(N, 4C, H/2, W/2)``.
        last: the last scale, likewise.
    """

    scales: nn.ModuleList
    last: Chain

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent; the latents of the first scale come first (see ``Flow.forward``)."""
        h, log_det, latents = self._checked(x), x.new_zeros(len(x)), []
        for scale in self.scales:
            h, scale_log_det = scale(h)
            h, latent = h.chunk(2, dim=1)
            latents.append(latent.flatten(1))
            log_det = log_det + scale_log_det
        h, last_log_det = self.last(h)
        return torch.cat((*latents, h.flatten(1)), dim=1), log_det + last_log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data (see ``Flow.inverse``)."""
        *latents, h = self._split(self._checked_latents(z))
        h = self.last.inverse(h)
        scales: list[Any] = list(self.scales)
        for scale, latent in zip(reversed(scales), reversed(latents), strict=True):
            h = scale.inverse(torch.cat((h, latent), dim=1))
        return h

    def _split(self, z: Tensor) -> list[Tensor]:
        """Cuts a batch of latents into those of each scale, as images; vectors have one scale."""
        if not self._is_image:
            return [z]
        channels, height, width = self.shape
        last = len(self.scales) + 1
        shapes = [(channels << i, height >> i, width >> i) for i in range(1, last)]
        # Nothing leaves the last scale before its end.
        shapes.append((channels << (last + 1), height >> last, width >> last))
        parts = torch.split(z, [math.prod(shape) for shape in shapes], dim=1)
        return [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]


def check_scales(name: str, scales: object, shape: Shape) -> int:
    """Returns the number of scales, or raises ValueError unless the sides can be halved so often.

    Args:
        name: what the model calls the argument.
        scales: its value.
        shape: shape ``(C, H, W)`` of one image.
    """
    count = check_int(name, scales, 1)
    _, height, width = shape
    if halvings(shape) < count:
        needed = f"{name}={count} needs sides divisible by {2**count}"
        raise ValueError(f"{needed}, got {height}x{width}")
    return count


def by_side_halved(
    table: Mapping[int, Mapping[str, Any]], shape: Shape, name: str
) -> dict[str, Any]:
    """Like ``by_side``, with the entry's number of scales, ``name``, cut to what the sides allow.

    It is at least 1, also where no side can be halved. That of a vector stays.
    """
    entry = by_side(table, shape)
    if len(shape) == 1:
        return entry
    return entry | {name: max(1, min(entry[name], halvings(shape)))}
