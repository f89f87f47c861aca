"""How a search comes to the GPU: measured apart, in its share, with fp32 as asked."""

import subprocess
import sys

import pytest
import ray
import torch
from rich.console import Console
from tests.chaos.conftest import cache, searches
from tests.chaos.searches import Searches
from torch.nn.functional import conv2d

from mollitune.models import allow_tf32
from mollitune.search.config import SearchConfig
from mollitune.search.tune.cluster import on_ray
from mollitune.search.tune.device import in_own_memory, prepared_device

__all__ = ["cache", "searches"]

POOLED = """
import torch

class Pooled(torch.nn.Module):
    def forward(self, pixels):
        assert pixels.is_cuda or len(pixels) == 3  # three are tried by the driver
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 4).flatten(1)
"""
SEARCH = """
import sys, torch
from rich.console import Console
from mollitune.search.config import load_config
from mollitune.search.launch.search import run_search

print(run_search(load_config(sys.argv[1]), Console()).trials, torch.cuda.is_initialized())
"""


@pytest.mark.usefixtures("gpu")
def test_the_driver_opens_no_context(searches: Searches) -> None:
    """The GPU would not be free for a trial where it serves one process at a time."""
    (searches.folder / "pooled.py").write_text(POOLED)
    config = {"model": "vae", "families": ["linear"], "steps": 40, "trials": 2, "workers": 1}
    fid = {"samples": 60, "every": 0.5, "extractor": "pooled:Pooled"}
    found = subprocess.run(
        [sys.executable, "-c", SEARCH, searches.config("apart", fid=fid, **config)],
        cwd=searches.folder,
        env={**searches.environment, "PYTHONPATH": str(searches.folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "{'completed': 2} False" in found.stdout, found.stdout + found.stderr
    assert set(searches.results("apart").reports["device"]) == {torch.cuda.get_device_name()}


def test_a_process_gets_no_more_than_its_share(gpu: torch.device) -> None:
    values = {"name": "x", "model": ["vae"], "resources": {"gpu": 0.05}}
    own = SearchConfig.model_validate(values)
    whole = torch.cuda.get_device_properties(gpu).total_memory

    def fill(share: float) -> None:
        device = prepared_device(own)
        with in_own_memory():
            torch.empty(int(share * whole), dtype=torch.uint8, device=device)

    with on_ray(own, Console(quiet=True)):
        remote = ray.remote(num_gpus=0.05, max_calls=1)(fill)
        ray.get(remote.remote(0.03))
        with pytest.raises(
            torch.OutOfMemoryError, match=r"0\.05 of a GPU's memory, the share of a"
        ):
            ray.get(remote.remote(0.08))


def test_fp32_is_fp32_and_tf32_is_less(gpu: torch.device) -> None:
    if torch.cuda.get_device_capability(gpu) < (8, 0):
        pytest.skip("needs a GPU with TF32")
    x, w = torch.randn(64, 32, 32, 32, device=gpu), torch.randn(32, 32, 3, 3, device=gpu)
    exact = conv2d(x.double(), w.double()), x.double() @ x.double()
    for allowed, least, most in ((False, 0, 1e-5), (True, 1e-5, 1e-2)):
        allow_tf32(allowed)
        for found, wanted in zip((conv2d(x, w), x @ x), exact, strict=True):
            assert least < float((found - wanted).norm() / wanted.norm()) < most
