"""The interface that every model shares."""

from abc import ABC, abstractmethod
from math import prod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ._bits import MODEL_SCALE, VECTOR_SCALE, nats_to_bits
from ._checks import check_int, check_real, check_shape
from ._precision import full_precision


class GenerativeModel(nn.Module, ABC):
    """A density model of images or vectors, trained by one loss.

    A subclass gives ``loss`` and the two hooks ``_draw`` and ``_nll``; the checks, the clamping
    and the conversion to bits stand here once. Models keep no batch statistics that lag behind
    the data, since the noise level of mollified data moves during training.

    Args:
        shape: shape ``(C, H, W)`` of one image, or ``(D,)`` of a vector if the class takes them.

    Attributes:
        shape: the same, as a tuple of ints.
        dims: number of dimensions ``D``, the product of ``shape``.
        vectors: whether the class takes vectors; written ``(N, *shape)`` below, a batch is then
            ``(N, D)``.

    Raises:
        ValueError: ``shape`` is not three integers >= 1 (or one, where vectors are taken).
    """

    vectors: ClassVar[bool] = False

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = check_shape(shape, vectors=self.vectors)
        self.dims = prod(self.shape)

    @abstractmethod
    def loss(self, x: Tensor) -> Tensor:
        """The training loss: negative log-likelihood, or a bound on it, in nats per dimension.

        Randomness comes from torch's global generator. Nothing is clipped and nothing waits for
        the device: a non-finite loss is returned as it is, for the caller to count.

        Args:
            x: floating-point batch, shape ``(N, *shape)``, in the model's space: ``[-1, 1]``
                dequantised, and possibly mollified, hence possibly outside that range. Vectors
                are best standardised.

        Returns:
            Scalar, the mean over the batch divided by ``D``.

        Raises:
            ValueError: ``x`` has another shape or is not floating-point.
        """

    @abstractmethod
    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        """Draws a batch of shape ``(n, *shape)``, not yet clamped."""

    @abstractmethod
    def _nll(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Evaluates the negative log-likelihood or its bound, shape ``(N,)``, in nats."""

    @torch.no_grad()
    def sample(
        self, n: int, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draws images or vectors.

        Args:
            n: how many, >= 1.
            generator: source of randomness, on any device; torch's global one if None.
            temperature: standard deviation of the latent Gaussian, >= 0.

        Returns:
            Shape ``(n, *shape)``; images are clamped to ``[-1, 1]``, vectors are not. Values that
            came out infinite or NaN are NaN, never clamped into range, so that the caller can
            count them.

        Raises:
            ValueError: ``n`` or ``temperature`` is out of range.
        """
        n = check_int("n", n, 1)
        temperature = check_real("temperature", temperature, 0)
        with full_precision(self._reference()):
            x = self._draw(n, generator, temperature)
        return torch.where(x.isfinite(), x.clamp(-1, 1) if self._is_image else x, torch.nan)

    @torch.no_grad()
    def bits_per_dim(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Bits per dimension of 8-bit images, ``-log2 p(bytes) / D`` or a bound from above.

        Vectors hold no bytes: theirs are the bits of the density, ``-log2 p(x) / D``. The
        evaluation runs in the model's own precision, also under autocast.

        Args:
            x: clean dequantised images in ``[-1, 1)``, or clean vectors, shape ``(N, *shape)``.
            generator: source of randomness, for models that need one.

        Returns:
            Shape ``(N,)``, without a gradient.

        Raises:
            ValueError: ``x`` has another shape or is not floating-point.
        """
        with full_precision(x):
            return self._bits(self._nll(self._checked(x), generator))

    def initialise(self, clean: Tensor, mollified: Tensor | None = None) -> None:
        """Fits data-dependent initial values, once, before the first training step.

        Most models have none, and this does nothing. It never runs by itself: not in ``loss``,
        where it would be a branch on data, and not when a checkpoint is loaded.

        Args:
            clean: some hundred dequantised training images (or vectors), ``(N, *shape)``.
            mollified: the same as the schedule shows them at step 0; ``clean`` if None.
        """

    def _bits(self, nll: Tensor) -> Tensor:
        """Bits per dimension of a negative log-likelihood in nats."""
        return nats_to_bits(nll, self.dims, MODEL_SCALE if self._is_image else VECTOR_SCALE)

    @property
    def _is_image(self) -> bool:
        return len(self.shape) == 3

    def _checked(self, x: Tensor) -> Tensor:
        """Returns ``x`` if it is a floating-point batch of this model's shape."""
        if x.ndim != 1 + len(self.shape) or tuple(x.shape[1:]) != self.shape:
            expected = ", ".join(str(side) for side in self.shape)
            raise ValueError(f"x must have shape (N, {expected}), got {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ValueError(f"x must be floating-point (see dequantise), got {x.dtype}")
        return x

    def _reference(self) -> Tensor:
        """Some parameter: it tells the model's dtype and device."""
        return next(self.parameters())
