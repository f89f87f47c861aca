"""Mean and covariance of features that arrive in batches, in float64 on their device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1024


@dataclass(frozen=True)
class Moments:
    """First two moments of N features of F numbers, float64.

    Arguments:
        mu: Mean with shape (F,).
        sigma: Covariance with shape (F, F), divided by N - 1.
        count: N.
    """

    mu: Tensor
    sigma: Tensor
    count: int

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Return the moments of features with shape (N, F), N >= 2, of any float type."""
        stream = MomentStream()
        for chunk in features.split(CHUNK):
            stream.add(chunk)
        return stream.moments()

    def to(self, device: torch.device) -> Moments:
        """Return the same moments on another device."""
        return Moments(self.mu.to(device), self.sigma.to(device), self.count)


class MomentStream:
    """Accumulates moments; its memory is F x F numbers, however many features come.

    Each batch is centred on its own mean and then merged, so that no two large sums are ever
    subtracted and the result depends on the batches by rounding alone.

    | Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (Chan et al., 1979)
    | http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Tensor
        self._scatter: Tensor  # sum of outer products of centred features
        self._pending: list[Tensor] = []

    def add(self, features: Tensor) -> None:
        """Take in a batch with shape (n, F)."""
        self._pending.append(features)
        # a product of many rows costs half as much per row as one of few
        if sum(map(len, self._pending)) >= CHUNK:
            self._merge()

    def moments(self) -> Moments:
        """Return the moments of all features so far.

        Raises:
            ValueError: If there were fewer than two.
        """
        self._merge()
        if self._count < 2:
            raise ValueError(f"a covariance needs at least 2 features, got {self._count}")
        return Moments(self._mean.clone(), self._scatter / (self._count - 1), self._count)

    def _merge(self) -> None:
        count = sum(map(len, self._pending))
        if not count:
            return
        x = torch.cat(self._pending).double()
        self._pending = []
        mean = x.mean(0)
        scatter = gram(x - mean)
        if not self._count:
            self._count, self._mean, self._scatter = count, mean, scatter
            return
        total = self._count + count
        shift = mean - self._mean
        self._scatter += scatter
        self._scatter.addr_(shift, shift, alpha=self._count * count / total)
        self._mean += shift * (count / total)
        self._count = total


def gram(x: Tensor) -> Tensor:
    """Return the float64 product of the transpose of a matrix and the matrix."""
    if x.device.type != "cpu":
        return x.T @ x
    array = x.numpy()
    # unlike torch, NumPy sees that the product is symmetric and computes half of it
    return torch.from_numpy(array.T @ array)
