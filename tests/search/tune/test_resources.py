"""What a config may ask of Ray for one trial."""

from typing import Any

import pytest
from pydantic import ValidationError

from mollitune.search.config import ResourcesConfig, SearchConfig


@pytest.mark.parametrize(
    "custom",
    [{}, {"pool": 1}, {"pool": 2.0}, {"accelerator_type:A100": 0.001}, {"node:10.0.0.7": 0.01}],
)
def test_legal_resources_are_kept(custom: dict[str, float]) -> None:
    assert ResourcesConfig(custom=custom).custom == custom


@pytest.mark.parametrize(
    ("custom", "part"),
    [
        ({"pool": 0}, "greater than or equal to 0.0001"),
        ({"pool": -1}, "greater than or equal to 0.0001"),
        ({"pool": float("inf")}, "finite"),
        ({"pool": "1"}, "valid number"),
        ({"pool": True}, "valid number"),
        ({"pool": 1.5}, "whole numbers only"),
        ({1: 1}, "valid string"),
        ({"": 1}, "match pattern"),
        ({"two words": 1}, "match pattern"),
        ({"GPU": 1}, "Ray's own"),
        ({"cpu": 1}, "Ray's own"),
        ({"memory": 1}, "Ray's own"),
        (["pool"], "valid dictionary"),
    ],
    ids=str,
)
def test_others_are_refused(custom: Any, part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        ResourcesConfig(custom=custom)


def test_a_trial_has_at_most_one_gpu() -> None:
    for share in (None, 0, 0.25, 1):
        assert ResourcesConfig(gpu=share).gpu == share
    with pytest.raises(ValidationError, match="at most 1: a trial trains on one GPU"):
        ResourcesConfig(gpu=2)


@pytest.mark.parametrize("values", [{"retries": -1}, {"hang_seconds": 0}, {"retries": 1.5}])
def test_limits_of_retries_and_hanging(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ResourcesConfig(**values)


def test_averaged_weights_do_not_go_with_a_stack() -> None:
    def stacked(*averages: object) -> SearchConfig:
        models = [{"name": f"pkg:M{n}", "ema": ema} for n, ema in enumerate(averages)]
        values = {"name": "x", "model": models, "resources": {"stack": 2}}
        return SearchConfig.model_validate(values)

    always: list[object] = [0.1, [0.1, 0.2], {"choices": [0.05, 0.1]}]
    # as long as there is something that can be stacked
    for other in (0, None, {"choices": [0, 0.1]}):
        stacked(*always, other)
    with pytest.raises(ValidationError, match="averaged weights, and every model has ema"):
        stacked(*always)


def test_only_known_models_are_compiled() -> None:
    values = {"name": "x", "families": ["linear"], "resources": {"compile": True}}
    SearchConfig.model_validate({**values, "model": ["vae"]})
    with pytest.raises(ValidationError, match="for Mollitune's own models, not for pkg:Mine"):
        SearchConfig.model_validate({**values, "model": ["vae", "pkg:Mine"]})
