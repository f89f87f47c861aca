"""The invertible 1x1 convolution: a learned generalisation of a permutation of the channels."""

import torch
from torch import Tensor, nn
from torch.linalg import solve_triangular

from ._precision import full_precision


class Invertible1x1(nn.Module):
    r"""Mixes the channels at each position by one matrix, kept as its LU factors.

    .. math:: W = P \, (L + I) \, (U + \mathrm{diag}(\sigma \exp(s)))

    with a fixed permutation :math:`P` and fixed signs :math:`\sigma`, so that the log-determinant
    is :math:`\sum s` per position and :math:`W` cannot become singular. It starts as a random
    rotation, drawn from torch's global generator.

    Args:
        channels: number of channels, >= 2; the second axis of the input.

    | Glow: Generative Flow with Invertible 1x1 Convolutions (Kingma and Dhariwal, 2018)
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels)).Q
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        # Packed as LAPACK does: below the diagonal L, above it U, and on it s.
        packed = lower.tril(-1) + upper.triu(1) + diagonal.abs().log().diag()
        self.factors = nn.Parameter(packed)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: returns the image of ``x`` and the log-determinant, shape ``(N,)``."""
        with full_precision(x):
            lower, upper = self._lower_upper(self.factors)
            mixed = _mix(self.permutation @ lower @ upper, x)
        log_det = self.factors.diagonal().sum() * x[0, 0].numel()
        return mixed, log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data; the inverse matrix is computed in double precision."""
        with full_precision(z):
            lower, upper = self._lower_upper(self.factors.double())
            half = solve_triangular(
                lower, self.permutation.double().T, upper=False, unitriangular=True
            )
            return _mix(solve_triangular(upper, half, upper=True).to(z.dtype), z)

    def _lower_upper(self, factors: Tensor) -> tuple[Tensor, Tensor]:
        ones = torch.ones_like(self.sign, dtype=factors.dtype)
        lower = factors.tril(-1) + torch.diag_embed(ones)
        diagonal = self.sign.to(factors.dtype) * factors.diagonal().exp()
        return lower, factors.triu(1) + torch.diag_embed(diagonal)


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    # Not conv2d: on a GPU that would round to TF32 by default, which a flow's state cannot bear.
    return torch.matmul(matrix, x.flatten(2)).reshape(x.shape)
