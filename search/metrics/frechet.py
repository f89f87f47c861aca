"""Frechet distances between one fixed Gaussian and many others.

| GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)
| https://arxiv.org/abs/1706.08500
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.linalg.lapack import dsygst
from torch import Tensor

from .moments import Moments, gram

SMALL = 512


def root_of(moments: Moments) -> Tensor:
    r"""Return the square root of a covariance without its null space, with shape (F, r).

    The root :math:`A` has :math:`A A^T = \Sigma` and as many columns as :math:`\Sigma` has
    eigenvalues above rounding, :math:`F \epsilon \lambda_{max}`: at most N - 1, and none for
    features that are always 0. Rounding of exact zeros would otherwise enter the distance through
    a square root, i.e. as 1e-8 instead of 1e-16 of the largest eigenvalue. A root with F columns
    is the lower triangular one (Cholesky's), which is cheaper to multiply by.
    """
    values, vectors = torch.linalg.eigh(moments.sigma)
    least = len(values) * torch.finfo(values.dtype).eps * values[-1]
    rank = min(int((values > least).sum()), moments.count - 1)
    first = len(values) - rank
    root: Tensor = vectors[:, first:] * values[first:].sqrt()
    if rank == len(values):
        root = torch.linalg.cholesky(moments.sigma)
    return root


@dataclass(frozen=True)
class Target:
    r"""The fixed side of many distances.

    With :math:`\Sigma_r = A A^T` the trace of :math:`(\Sigma_r \Sigma_g)^{1/2}` is the sum of
    the square roots of the eigenvalues of the symmetric matrix :math:`A^T \Sigma_g A`, which has
    r rows; or, with centred generated features :math:`X` of :math:`\Sigma_g = X^T X`, of the
    N x N matrix :math:`X A A^T X^T`, which is smaller if N < r.

    Arguments:
        mu: Mean with shape (F,), float64.
        root: Root of the covariance from `root_of`, with shape (F, r).
        trace: Trace of the covariance.
    """

    mu: Tensor
    root: Tensor
    trace: float

    @classmethod
    def of(cls, moments: Moments) -> Target:
        """Return the target with these moments."""
        return cls(moments.mu, root_of(moments), float(moments.sigma.trace()))

    @property
    def rank(self) -> int:
        """Rank r of the covariance."""
        return self.root.shape[1]

    def distance(self, generated: Moments) -> float:
        """Return the squared Frechet distance to a Gaussian; its moments may be anywhere."""
        generated = generated.to(self.mu.device)
        inner = _congruent(self.root, generated.sigma)
        return self._combine(generated.mu, generated.sigma.trace(), inner, generated.count)

    def distance_of(self, features: Tensor) -> float:
        """Return the distance to the Gaussian fitted to features with shape (N, F), N >= 2."""
        if len(features) > self.rank:
            return self.distance(Moments.of(features))
        x = features.double().to(self.mu.device)
        mu = x.mean(0)
        x = (x - mu) / (len(x) - 1) ** 0.5
        return self._combine(mu, x.square().sum(), gram((x @ self.root).T), len(x))

    def _combine(self, mu: Tensor, trace: Tensor, inner: Tensor, count: int) -> float:
        # centred features have rank N - 1: what is below is a rounded 0, not to be rooted
        values = torch.linalg.eigvalsh(inner)[-(count - 1) :]
        cross = values.clamp_min(0).sqrt().sum()
        squared = (mu - self.mu).square().sum() + self.trace + trace - 2 * cross
        return max(0.0, float(squared))


def _congruent(root: Tensor, sigma: Tensor) -> Tensor:
    """Return the lower triangle of root.T @ sigma @ root; the upper one may hold anything."""
    square = root.shape[0] == root.shape[1]
    if not square or root.device.type != "cpu":
        return root.T @ sigma @ root
    # LAPACK's reduction of a generalised problem: a quarter of the work of two full products
    inner, _ = dsygst(sigma.numpy(), root.numpy(), itype=2, lower=1)
    return torch.from_numpy(inner)


def solver_device(features: int, device: torch.device) -> torch.device:
    """Return where to solve for F features: starting a GPU on small matrices takes longer."""
    return device if features > SMALL else torch.device("cpu")
