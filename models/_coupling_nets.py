"""Networks of the coupling layers; each starts at zero, so that a fresh coupling is simple."""

import torch
from torch import Tensor, nn


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

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        h: Tensor = self.first(x)
        for block in self.blocks:
            h = h + block(torch.relu(h))
        out: Tensor = self.last(torch.relu(h))
        return out
