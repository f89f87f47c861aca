"""Trials that Ray puts on one GPU, each with a share of it."""

from typing import Any

import pytest
import torch
from tests.chaos.conftest import cache, searches
from tests.chaos.searches import Searches

__all__ = ["cache", "searches"]

CONFIG: dict[str, Any] = {
    "model": [{"name": "vae", "steps": 300}],
    "families": ["linear"],
    "sampler": "random",
    "workers": 2,
    "stopping": {"policy": "none"},
    "fid": {"samples": 60, "every": 0.5},
}


@pytest.mark.parametrize("stack", [1, 2])
def test_two_processes_share_a_gpu(gpu: torch.device, searches: Searches, stack: int) -> None:
    name = f"packed-{stack}"
    more = {"trials": 8 * stack, "resources": {"gpu": 0.5, "stack": stack}}
    searches.run("search", searches.config(name, **{**CONFIG, **more}))
    results = searches.results(name)
    assert set(results.trials["status"]) == {"completed"}
    assert set(results.reports["device"]) == {torch.cuda.get_device_name(gpu)}
    times = results.trials.sort_values("start")
    # the trials of one process start together: it is the next process that must overlap
    starts, ends = times["start"].to_numpy()[stack:], times["end"].to_numpy()[:-stack]
    overlapping = starts < ends
    assert overlapping.mean() > 0.5
