"""MADE: one masked network that is autoregressive in its inputs."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu


class MADE(nn.Module):
    r"""A masked MLP: its outputs for dimension :math:`d` see the inputs before :math:`d` only.

    Every hidden unit has a degree :math:`m` in :math:`1 \dots D - 1`, spread evenly over the
    width; it sees inputs (and units) up to its degree, and output :math:`d` sees the units of a
    degree below :math:`d`. So the Jacobian of each output in the inputs is strictly lower
    triangular, whatever the weights. A context enters every layer unmasked.

    Args:
        dims: dimensions :math:`D` of the input, >= 1; one dimension depends on the context only.
        hidden: width of the hidden layers, >= 1.
        layers: number of hidden layers, >= 1.
        outputs: numbers per dimension.
        context: dimensions of the context; 0 for none.

    | MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015)
    """

    def __init__(
        self, dims: int, hidden: int, *, layers: int = 2, outputs: int = 2, context: int = 0
    ) -> None:
        super().__init__()
        self.outputs = outputs
        inputs = torch.arange(1, dims + 1)
        # From 1 to D - 1 even where the width is below that: the first and the last input count.
        units = 1 + torch.arange(hidden) * max(dims - 2, 0) // max(hidden - 1, 1)
        degrees = [inputs, *[units] * layers]
        self.hidden = nn.ModuleList(
            _MaskedLinear(after[:, None] >= before, context) for before, after in pairwise(degrees)
        )
        self.last = _MaskedLinear((inputs[:, None] > units).repeat(outputs, 1), context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, ...]:
        """Returns ``outputs`` tensors of shape ``(N, D)``.

        Args:
            x: shape ``(N, D)``.
            context: shape ``(N, context)``, if there is one.
        """
        for layer in self.hidden:
            x = silu(layer(x, context))
        out: Tensor = self.last(x, context)
        return out.chunk(self.outputs, dim=1)


class _MaskedLinear(nn.Module):
    mask: Tensor

    def __init__(self, mask: Tensor, context: int) -> None:
        super().__init__()
        outputs, inputs = mask.shape
        layer = nn.Linear(inputs, outputs)
        self.weight, self.bias = layer.weight, layer.bias
        self.register_buffer("mask", mask.to(layer.weight.dtype), persistent=False)
        self.context = nn.Linear(context, outputs, bias=False) if context else None

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        out = linear(x, self.weight * self.mask, self.bias)
        return out if self.context is None else out + self.context(context)
