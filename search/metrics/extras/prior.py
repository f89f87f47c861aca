"""What the prior of a VAE does to its samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mollitune.search.data.images import points
from mollitune.search.store.evaluation import extra_metric

from .base import AtEnd, Trained

BATCH = 256
ACTIVE = 0.01
"""Variance of a code's posterior mean over the images above which its dimension is in use."""
_JITTER = 1e-6


class Prior(AtEnd):
    """What is wrong with a VAE's samples: its prior, or its decoder?

    The codes of the training images rarely fill the prior N(0, I). Samples from a Gaussian that is
    fitted to these codes have no such holes, and reconstructions need no prior at all: what a
    schedule gains in FID, but not in these two, is the prior's, and could be had without it.

    | From Variational to Deterministic Autoencoders (Ghosh et al., 2020), the fitted prior
    | https://arxiv.org/abs/1903.12436
    | Importance Weighted Autoencoders (Burda et al., 2016), active units
    | https://arxiv.org/abs/1509.00519

    It is for models with ``encode``, ``codes`` and ``render`` as those of the VAE family; flows
    have nothing in its columns.
    """

    columns = (
        extra_metric(
            "fid_fitted_prior",
            "of a VAE, FID of samples from a Gaussian fitted to the codes of training images; at "
            "the end of a training",
            better="lower",
        ),
        extra_metric(
            "fid_reconstructions",
            "of a VAE, FID of reconstructed training images; at the end of a training",
            better="lower",
        ),
        extra_metric(
            "prior_kl",
            "of a VAE, KL divergence of that Gaussian from the prior; at the end of a training",
            "nats",
        ),
        extra_metric(
            "active_units",
            "of a VAE, latent dimensions that it uses: the variance of the posterior's mean over "
            "images is above 0.01; at the end of a training",
        ),
    )

    def look(self, trained: Trained) -> dict[str, float]:
        """Return all four, or nothing if the model has no codes."""
        model: Any = trained.model
        if not all(hasattr(model, name) for name in ("encode", "codes", "render")):
            return {}
        names = [column.name for column in self.columns]
        means, codes = _encoded(model, trained)
        if not codes.isfinite().all():  # diverged: no reason to end a search
            return dict.fromkeys(names, math.nan)

        def rendered(z: Tensor) -> Tensor:
            found: Tensor = model.render(z, trained.generator)
            return found.clamp(-1, 1) if found.ndim == 4 else found

        draw, left = fitted(codes, trained.generator), codes

        def next_codes(n: int) -> Tensor:
            nonlocal left
            found, left = left[:n], left[n:]
            return found

        values = (
            trained.fid(lambda n: rendered(draw(n))),
            trained.fid(lambda n: rendered(next_codes(n))),
            prior_kl(codes),
            float((means.var(0) > ACTIVE).sum()),
        )
        return dict(zip(names, values, strict=True))


def fitted(codes: Tensor, generator: torch.Generator) -> Callable[[int], Tensor]:
    """Return what draws from the Gaussian with mean and covariance of codes (N, latent)."""
    centre, root = codes.mean(0), torch.linalg.cholesky(_covariance(codes)).to(codes.dtype)

    def draw(n: int) -> Tensor:
        size = (n, codes.shape[1])
        noise = torch.randn(size, generator=generator, device=codes.device)
        drawn: Tensor = centre + noise @ root.T
        return drawn

    return draw


def prior_kl(codes: Tensor) -> float:
    r"""Return :math:`KL(N(m, S) || N(0, I))` in nats, with mean and covariance of codes."""
    covariance, centre = _covariance(codes), codes.double().mean(0)
    second = covariance.trace() + centre.square().sum() - len(centre)
    return float((second - torch.logdet(covariance)) / 2)


def _covariance(codes: Tensor) -> Tensor:
    found: Tensor = torch.atleast_2d(torch.cov(codes.double().T))
    return found + _JITTER * (1 + found.trace() / len(found)) * torch.eye(len(found)).to(found)


def _encoded(model: Any, trained: Trained) -> tuple[Tensor, Tensor]:
    """Means of the posteriors and a draw of each, of as many training images as samples.

    Fewer images are taken again and again, each time spread over their cells anew.
    """
    count, device = len(trained.images), trained.images.device
    order = torch.randperm(count, generator=trained.generator, device=device)
    order = order.repeat(math.ceil(trained.samples / count))[: trained.samples]
    means, codes = [], []
    for some in order.split(BATCH):
        x = points(trained.images[some], trained.generator)
        means.append(model.encode(x)[0])
        codes.append(model.codes(x, trained.generator))
    return torch.cat(means), torch.cat(codes)
