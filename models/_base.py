"""The interface that every model shares."""

from abc import ABC, abstractmethod
from math import prod

import torch
from torch import Tensor, nn

from ._bits import nats_to_bits
from ._checks import check_int, check_real, check_shape


class GenerativeModel(nn.Module, ABC):
    """A density model of images, trained by one loss.

    A subclass gives ``loss`` and the two hooks ``_draw`` and ``_nll``; the checks, the clamping
    and the conversion to bits stand here once. Models keep no batch statistics that lag behind
    the data, since the noise level of mollified data moves during training.

    Args:
        shape: shape ``(C, H, W)`` of one image.

    Attributes:
        shape: the same, as a tuple of ints.
        dims: number of dimensions ``D = C * H * W``.

    Raises:
        ValueError: ``shape`` is not three integers >= 1.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = check_shape(shape)
        self.dims = prod(self.shape)

    @abstractmethod
    def loss(self, x: Tensor) -> Tensor:
        """The training loss: negative log-likelihood, or a bound on it, in nats per dimension.

        Randomness comes from torch's global generator. Nothing is clipped and nothing waits for
        the device: a non-finite loss is returned as it is, for the caller to count.

        Args:
            x: floating-point batch, shape ``(N, C, H, W)``, in the model's space: ``[-1, 1]``
                dequantised, and possibly mollified, hence possibly outside that range.

        Returns:
            Scalar, the mean over the batch divided by ``D``.

        Raises:
            ValueError: ``x`` has another shape or is not floating-point.
        """

    @abstractmethod
    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        """Draws ``n`` images, shape ``(n, C, H, W)``, not yet clamped."""

    @abstractmethod
    def _nll(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Evaluates the negative log-likelihood or its bound, shape ``(N,)``, in nats."""

    @torch.no_grad()
    def sample(
        self, n: int, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draws images.

        Args:
            n: how many, >= 1.
            generator: source of randomness, on any device; torch's global one if None.
            temperature: standard deviation of the latent Gaussian, >= 0.

        Returns:
            Shape ``(n, C, H, W)``, clamped to ``[-1, 1]``. Values that came out infinite or NaN
            are NaN, never clamped into range, so that the caller can count them.

        Raises:
            ValueError: ``n`` or ``temperature`` is out of range.
        """
        n = check_int("n", n, 1)
        x = self._draw(n, generator, check_real("temperature", temperature, 0))
        return torch.where(x.isfinite(), x.clamp(-1, 1), torch.nan)

    @torch.no_grad()
    def bits_per_dim(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Bits per dimension of 8-bit images, ``-log2 p(bytes) / D`` or a bound from above.

        Args:
            x: clean dequantised images in ``[-1, 1)``, shape ``(N, C, H, W)``.
            generator: source of randomness, for models that need one.

        Returns:
            Shape ``(N,)``, without a gradient.

        Raises:
            ValueError: ``x`` has another shape or is not floating-point.
        """
        return nats_to_bits(self._nll(self._checked(x), generator), self.dims)

    def _checked(self, x: Tensor) -> Tensor:
        """Returns ``x`` if it is a floating-point batch of this model's shape."""
        if x.ndim != 4 or tuple(x.shape[1:]) != self.shape:
            expected = ", ".join(str(side) for side in self.shape)
            raise ValueError(f"x must have shape (N, {expected}), got {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ValueError(f"x must be floating-point (see dequantise), got {x.dtype}")
        return x

    def _reference(self) -> Tensor:
        """Some parameter: it tells the model's dtype and device."""
        return next(self.parameters())
