"""What every extractor with a single feature layer tells torch-fidelity.

It is not imported for that: with all its networks it takes longer to import than torch.
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn


class OneLayerExtractor(nn.Module):
    """Base of extractors with one feature layer, which serves all metrics.

    Arguments:
        name: Name in torch-fidelity's registry.
        features_list: The layers asked for, the one there is.

    Attributes:
        layer: Name of that layer.
    """

    layer: ClassVar[str]

    def __init__(self, name: str, features_list: list[str]) -> None:
        nn.Module.__init__(self)  # where `register` adds torch-fidelity's base, it has no part
        self.name, self.features_list = name, features_list

    @classmethod
    def get_provided_features_list(cls) -> tuple[str, ...]:
        """Return the names of the feature layers."""
        return (cls.layer,)

    @classmethod
    def get_default_feature_layer_for_metric(cls, metric: str) -> str:
        """Return the one layer, whatever the metric."""
        return cls.layer

    @staticmethod
    def can_be_compiled() -> bool:
        """Return False: compiling takes longer than a search's evaluations."""
        return False
