"""Likelihood-based generative models, all trained and judged through one small interface.

A model is an ``nn.Module`` with ``loss``, ``sample`` and ``bits_per_dim``; it lives on images in
``[-1, 1]`` and knows nothing of schedules, files or metrics.

Example:
    >>> import torch
    >>> from mollitune.models import build, dequantise
    >>> images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    >>> model = build("realnvp", shape=(1, 8, 8), hidden=8)
    >>> x = dequantise(images)
    >>> model.loss(x).shape, model.sample(2).shape, model.bits_per_dim(x).shape
    (torch.Size([]), torch.Size([2, 1, 8, 8]), torch.Size([4]))
"""

from ._base import GenerativeModel
from ._beta_vae import BetaVAE
from ._dequantise import dequantise, fractions, spread
from ._flow import Flow
from ._glow import Glow
from ._hvae import HVAE
from ._iwae import IWAE
from ._maf import MAF
from ._precision import allow_tf32
from ._random import draws_from, randn
from ._realnvp import RealNVP
from ._registry import build, is_own, models, preset, presets, register, takes_vectors
from ._vae import VAE
from ._vae_iaf import VAEIAF

__all__ = [
    "HVAE",
    "IWAE",
    "MAF",
    "VAE",
    "VAEIAF",
    "BetaVAE",
    "Flow",
    "GenerativeModel",
    "Glow",
    "RealNVP",
    "allow_tf32",
    "build",
    "dequantise",
    "draws_from",
    "fractions",
    "is_own",
    "models",
    "preset",
    "presets",
    "randn",
    "register",
    "spread",
    "takes_vectors",
]
