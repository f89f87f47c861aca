"""What every extractor with a single feature layer tells torch-fidelity."""

from __future__ import annotations

from typing import ClassVar

from torch_fidelity.feature_extractor_base import FeatureExtractorBase


class OneLayerExtractor(FeatureExtractorBase):  # type: ignore[misc]
    """Base of extractors with one feature layer, which serves all metrics.

    Attributes:
        layer: Name of that layer.
    """

    layer: ClassVar[str]

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
