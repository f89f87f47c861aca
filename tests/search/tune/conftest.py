"""A Ray with GPUs that are none."""

from collections.abc import Iterator
from typing import Any

import pytest
import ray
from rich.console import Console

from mollitune.search.config import SearchConfig
from mollitune.search.tune import cluster


def config(address: str | None = None, **resources: Any) -> SearchConfig:
    values = {"name": "x", "model": ["vae"], "address": address, "resources": resources}
    return SearchConfig.model_validate(values)


@pytest.fixture(scope="module")
def fake_gpus() -> Iterator[None]:
    """A Ray of our own that believes in two GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        real = ray.init
        patch.setattr(ray, "init", lambda **how: real(num_gpus=2, **how))
        with cluster.on_ray(config(gpu=0), Console(quiet=True)):
            yield
