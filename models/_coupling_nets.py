"""Networks of the coupling layers; each starts at zero, so that a fresh coupling is simple."""

import torch
from torch import Tensor, nn

_GAIN = 3.0
# Convolutions between few and many channels run up to twice as fast on a processor with a pixel's
# channels side by side in memory, and the weights decide how their results lie.
_LAYOUT = torch.channels_last


class ResNet(nn.Module):
    """Plain pre-activation residual network, without any normalisation, that starts at zero.

    A block is one convolution; on the digits a second one in each cost time and gained nothing.

    Args:
        inputs: channels of the input.
        hidden: width.
        outputs: channels of the output.
        blocks: residual blocks.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(hidden, hidden, 3, padding=1) for _ in range(blocks))
        self.last = nn.Conv2d(hidden, outputs, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)
        self.to(memory_format=_LAYOUT)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        h: Tensor = self.first(x)
        for block in self.blocks:
            h = h + block(torch.relu(h))
        out: Tensor = self.last(torch.relu(h))
        return out


class MLP(nn.Sequential):
    """Linear layers with SiLU between them, for vectors; the last one starts at zero.

    Args:
        inputs: dimensions of the input.
        hidden: width.
        outputs: dimensions of the output.
        blocks: hidden layers after the first.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, blocks: int) -> None:
        last = nn.Linear(hidden, outputs)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        layers = [nn.Linear(inputs, hidden), nn.SiLU()]
        for _ in range(blocks):
            layers += [nn.Linear(hidden, hidden), nn.SiLU()]
        super().__init__(*layers, last)


class ZeroConv(nn.Module):
    r"""A 3x3 convolution that starts at zero, its output multiplied by :math:`\exp(3 l)`.

    The factor, learned per channel from :math:`l = 0`, lets the output grow faster than the
    optimizer's steps would.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.

    | Glow: Generative Flow with Invertible 1x1 Convolutions (Kingma and Dhariwal, 2018)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)
        self.raw_log_gain = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.to(memory_format=_LAYOUT)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        out: Tensor = self.conv(x)
        return out * torch.exp(_GAIN * self.raw_log_gain)


class GlowNet(nn.Sequential):
    """Glow's coupling network: 3x3, ReLU, 1x1, ReLU and a 3x3 convolution that starts at zero.

    Args:
        inputs: channels of the input.
        hidden: width.
        outputs: channels of the output.

    | Glow: Generative Flow with Invertible 1x1 Convolutions (Kingma and Dhariwal, 2018)
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(),
            ZeroConv(hidden, outputs),
        )
        self.to(memory_format=_LAYOUT)
