"""LeNet features for images that no ImageNet network understands, such as 8x8 digits.

The network is trained once on the labels of the training split. A Frechet distance in its
features ranks generators of that data set sensibly; it is no Inception FID, so every value is
stored with the name ``lenet`` and the hash of the weights that it was measured with.

| Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mollitune._errors import MollituneError
from mollitune.search.data.images import Images, as_tensor

from .base import OneLayerExtractor

LENET = "lenet"
FEATURES = 64
EPOCH_IMAGES = 60_000
BATCH = 128


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


def train_lenet(images: Images, seed: int = 0) -> dict[str, Tensor]:
    """Train a classifier on labelled images and return its weights.

    The recipe is fixed (Adam 1e-3 with cosine decay, batches of 128, 60,000 images in all), so
    that on one machine equal data give equal weights.

    Raises:
        MollituneError: If the images have no labels, or only one class.
    """
    if images.labels is None or images.labels.max() < 1:
        raise MollituneError(
            f"dataset {images.name}: the lenet extractor needs labels of at least two classes; "
            "use fid.extractor=inception-v3-compat or efficientnet-lite0, or add a `label` column "
            "or class sub-folders"
        )
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = LeNet(images.shape[0], int(images.labels.max()) + 1)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
        steps = EPOCH_IMAGES // BATCH
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        pixels, labels = as_tensor(images.pixels), torch.from_numpy(images.labels)
        for _ in range(steps):
            batch = torch.randint(len(images), (BATCH,))
            loss = cross_entropy(network(pixels[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
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
