"""LeNet features for images that no ImageNet network understands, such as 8x8 digits.

The network is trained once on the labels of the training split, or on labels that are made from
the images where there are none. A Frechet distance in its features ranks generators of that data
set sensibly; it is no Inception FID, so every value is stored with the name ``lenet`` (or
``lenet-unlabelled``) and the hash of the weights that it was measured with.

| Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mollitune._errors import MollituneError
from mollitune._optim import Adam
from mollitune._threads import threads
from mollitune.search.data.images import Images, as_tensor

from .base import OneLayerExtractor
from .names import UNLABELLED

FEATURES = 64
STEPS = 117
BATCH = 128
CLUSTERS, CLUSTERED, ROUNDS = 10, 5000, 20
"""Made labels, images that they are learned from, and rounds of that."""

Progress = Callable[[int, int], None]
"""Is told how many steps are done, of how many."""


class LeNet(nn.Module):
    """Two convolutions and two dense layers, for any image of at least 8 x 8 pixels.

    Arguments:
        channels: Colour channels of the images.
        classes: Number of labels.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
        )
        self.features = nn.Sequential(nn.Linear(64 * 16, FEATURES), nn.ReLU())
        self.classifier = nn.Linear(FEATURES, classes)

    def embed(self, pixels: Tensor) -> Tensor:
        """Return penultimate features.

        Arguments:
            pixels: Bytes with shape (N, C, H, W).

        Returns:
            Features with shape (N, 64).
        """
        x = pixels.to(self.classifier.weight.dtype) / 127.5 - 1
        out: Tensor = self.features(self.convolutions(x))
        return out

    def forward(self, pixels: Tensor) -> Tensor:
        """Return class logits with shape (N, K) for bytes with shape (N, C, H, W)."""
        out: Tensor = self.classifier(self.embed(pixels))
        return out


def has_classes(images: Images) -> bool:
    """Return whether images have labels of at least two classes."""
    return images.labels is not None and bool(images.labels.max() > 0)


def pseudo_labelled(images: Images) -> Images:
    """Return images with labels made from their pixels: the cluster that each lies in.

    k-means with a fixed seed and number of rounds, so that equal data give equal labels.
    """
    x = torch.from_numpy(images.pixels.reshape(len(images), -1)).float()
    generator = torch.Generator().manual_seed(0)
    few = x[:CLUSTERED]
    centres = few[:1]
    with threads(1):
        while len(centres) < CLUSTERS:  # far from each other, as k-means++ begins
            far = torch.cdist(few, centres).amin(1).square() + 1e-9
            centres = torch.cat([centres, few[far.multinomial(1, generator=generator)]])
        for _ in range(ROUNDS):
            nearest = torch.cdist(few, centres).argmin(1)
            sums = torch.zeros_like(centres).index_add_(0, nearest, few)
            counts = nearest.bincount(minlength=CLUSTERS)[:, None]
            centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
        labels = torch.cdist(x, centres).argmin(1)
    return replace(images, labels=labels.numpy(), known_sha256=None)


def train_lenet(
    images: Images, seed: int = 0, progress: Progress = lambda done, total: None
) -> dict[str, Tensor]:
    """Train a classifier on labelled images and return its weights.

    The recipe is fixed (Adam 1e-3 with cosine decay, `STEPS` batches of 128, one thread), so that
    on one machine equal data give equal weights. More steps rank images no better, see
    ``benchmarks/lenet.py``.

    Args:
        images: Images with labels.
        seed: Seed of weights and batches.
        progress: Is called before the first step and after each.

    Raises:
        MollituneError: If the images have no labels, or only one class.
    """
    if images.labels is None or not has_classes(images):
        raise MollituneError(
            f"dataset {images.name}: the lenet extractor needs labels of at least two classes; "
            f"use fid.extractor={UNLABELLED}, or add a `label` column or class sub-folders"
        )
    with threads(1), torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = LeNet(images.shape[0], int(images.labels.max()) + 1)
        network.to(memory_format=torch.channels_last)  # a quarter faster on a CPU
        optimiser = Adam(network.parameters(), lr=1e-3)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        pixels, labels = as_tensor(images.pixels), torch.from_numpy(images.labels)
        progress(0, STEPS)
        for step in range(STEPS):
            batch = torch.randint(len(images), (BATCH,))
            chosen = pixels[batch].to(memory_format=torch.channels_last)
            loss = cross_entropy(network(chosen), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
            progress(step + 1, STEPS)
    return network.state_dict()


class LeNetExtractor(OneLayerExtractor):
    """LeNet behind torch-fidelity's interface; the only feature layer is ``64``."""

    layer = str(FEATURES)

    def __init__(
        self,
        name: str,
        features_list: list[str],
        feature_extractor_weights_path: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, features_list)
        state = torch.load(feature_extractor_weights_path, map_location="cpu", weights_only=True)
        channels = state["convolutions.0.weight"].shape[1]
        self.network = LeNet(channels, state["classifier.weight"].shape[0])
        self.network.load_state_dict(state)
        self.network.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        """Return features with shape (N, 64) for bytes with shape (N, C, H, W)."""
        return (self.network.embed(pixels.to(memory_format=torch.channels_last)),)
