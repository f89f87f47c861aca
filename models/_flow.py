"""What all normalizing flows share: an exact density over a standard normal base."""

from abc import abstractmethod

import torch
from torch import Tensor

from ._actnorm import initialise_actnorms
from ._base import GenerativeModel
from ._gaussian import standard_normal_log_prob
from ._precision import full_precision
from ._random import randn

ACTNORM_INITS = ("clean", "mollified")


class Flow(GenerativeModel):
    """A normalizing flow: an invertible map of the data to standard normal latents.

    A subclass gives ``forward`` and ``inverse``. One that holds ActNorm layers also sets
    ``actnorm_init``: whether ``initialise`` fits them to ``"clean"`` or to ``"mollified"`` data.
    """

    actnorm_init = "clean"

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent.

        Args:
            x: shape ``(N, *shape)``.

        Returns:
            Latents ``z``, shape ``(N, D)``, and the log of the absolute Jacobian determinant of
            ``z`` in ``x``, shape ``(N,)``.
        """

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data: shape ``(N, D)`` to ``(N, *shape)``, unbounded.

        Raises:
            ValueError: ``z`` does not have shape ``(N, D)``.
        """

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density in the model's space, in nats: ``(N, *shape)`` to ``(N,)``."""
        z, log_det = self(x)
        log_prob: Tensor = standard_normal_log_prob(z) + log_det
        return log_prob

    def loss(self, x: Tensor) -> Tensor:
        """The exact negative log-likelihood in nats per dimension; no randomness is used."""
        return -self.log_prob(x).mean() / self.dims

    @torch.no_grad()
    def initialise(self, clean: Tensor, mollified: Tensor | None = None) -> None:
        """Fits the ActNorm layers, if there are any, to the data that ``actnorm_init`` names."""
        use_clean = self.actnorm_init == "clean" or mollified is None
        x = self._checked(clean if use_clean or mollified is None else mollified)
        with full_precision(x):
            initialise_actnorms(self, x)

    def _nll(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return -self.log_prob(x)

    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        return self.inverse(temperature * randn((n, self.dims), self._reference(), generator))

    def _checked_latents(self, z: Tensor) -> Tensor:
        """Returns ``z`` if it is a batch of latents of this flow."""
        if z.ndim != 2 or z.shape[1] != self.dims:
            raise ValueError(f"z must have shape (N, {self.dims}), got {tuple(z.shape)}")
        return z
