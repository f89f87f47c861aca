"""A model of your own in a search: ``model: own_model:FactorPCA``, typed beside this file.

Mollitune needs three methods: ``loss``, ``sample`` and ``bits_per_dim``. The base class checks
shapes, clamps samples and converts nats to bits, so that two short hooks remain.
"""

import torch
from torch import Tensor, nn

from mollitune.models import GenerativeModel


class FactorPCA(GenerativeModel):
    """Probabilistic PCA: a Gaussian with a low-rank covariance plus a diagonal.

    Args:
        shape: shape ``(C, H, W)`` of one image.
        rank: number of factors.
    """

    def __init__(self, shape: tuple[int, int, int], rank: int = 8) -> None:
        super().__init__(shape)
        self.mean = nn.Parameter(torch.zeros(self.dims))
        self.factor = nn.Parameter(torch.randn(self.dims, rank) / rank**0.5)
        self.log_std = nn.Parameter(torch.zeros(self.dims))

    def loss(self, x: Tensor) -> Tensor:
        """Return the mean negative log-likelihood in nats per dimension."""
        return self._nll(self._checked(x), None).mean() / self.dims

    def _nll(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        variance = (2 * self.log_std).exp()
        density = torch.distributions.LowRankMultivariateNormal(self.mean, self.factor, variance)
        nll: Tensor = -density.log_prob(x.flatten(1))
        return nll

    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        factors = torch.randn(n, self.factor.shape[1], generator=generator)
        noise = torch.randn(n, self.dims, generator=generator)
        flat = factors.to(self.mean) @ self.factor.T + noise.to(self.mean) * self.log_std.exp()
        return (self.mean + temperature * flat).reshape(n, *self.shape)
