"""What a trial gets of a machine, where it is measured, and what is said if it gets too little."""

import os
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from tests.search.tune.conftest import config

from mollitune._errors import MollituneError
from mollitune.schedules import Vanilla
from mollitune.search.data.images import Splits
from mollitune.search.launch.prepare import statistics
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.metrics.reference import Reference
from mollitune.search.tune import beacon, cluster
from mollitune.search.tune.budget import Plan
from mollitune.search.tune.context import Context
from mollitune.search.tune.device import gpu_share, in_own_memory, prepared_device
from mollitune.search.tune.placement import call_as_trial
from mollitune.search.tune.trainable import RunsTrainable

UNITS = 10_000  # into which Ray divides a GPU


def test_all_workers_run_at_once_or_as_many_as_fit() -> None:
    for workers, gpus in product([*range(1, 129), 20_000], range(1, 9)):
        units = round(gpu_share(workers, gpus) * UNITS)
        assert 0 < units <= UNITS
        assert gpus * (UNITS // units) >= min(workers, gpus * UNITS), (workers, gpus)


def test_without_a_compiler_where_it_trains_a_trial_fails_at_once(
    digits: Splits, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(beacon, "get", lambda *_: None)  # what the driver has ended
    own = Context(config(compile=True), digits, reference, str(tmp_path), {"vae": Plan(1, 9)})

    class Own(RunsTrainable):
        def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
            super().setup(config, own)

    run = {"model": "vae", "schedule": Vanilla().to_dict(), "seed": 0}
    result = Own({"trials": [{"trial": k, **run} for k in (4, 7)]}).step()
    assert (result["done"], [one["trial"] for one in result["results"]]) == (True, [4, 7])
    for one in result["results"]:
        assert "needs a C++ compiler, and no-such-compiler is not installed" in one["error"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
def test_the_cpu_is_not_taken_without_a_word_where_ray_has_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": 2.0})
    with pytest.raises(MollituneError, match=r"Ray finds 2 GPU.*torch .* resources\.gpu=0$"):
        cluster.check_devices(config())
    for told in (config(gpu=0), config(address="there")):
        cluster.check_devices(told)


@pytest.mark.slow
@pytest.mark.usefixtures("fake_gpus")
def test_a_process_of_ray_measures_and_ends() -> None:
    # without a name: a worker cannot import what is in here
    device, process = call_as_trial(
        lambda device: (str(device), os.getpid()), config(gpu=0), what="asking", say=print
    )
    assert device == "cpu"
    assert process != os.getpid()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
@pytest.mark.usefixtures("fake_gpus")
def test_a_large_network_goes_to_a_gpu_of_ray_or_it_is_said_why_not(
    lenet: Extractor, digits: Splits
) -> None:
    assert statistics(config(), lenet, digits.test).count == len(digits.test)
    with pytest.raises(MollituneError, match=r"Ray has GPUs, but on .* resources\.gpu=0$"):
        statistics(config(), replace(lenet, name="large"), digits.test)


@pytest.mark.slow
@pytest.mark.usefixtures("fake_gpus")
def test_a_process_keeps_to_its_share_of_the_memory_and_says_when_it_is_full() -> None:
    """What CUDA is asked is replaced, as there may be none; the share is Ray's."""
    own = config()

    def limited() -> tuple[str, list[Any], str]:
        limits: list[Any] = []
        torch.cuda.is_available, torch.cuda.current_device = (lambda: True), (lambda: 0)
        torch.cuda.set_per_process_memory_fraction = lambda *how: limits.append(how)
        device = prepared_device(own)
        try:
            with in_own_memory():
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        except torch.OutOfMemoryError as error:
            return str(device), limits, str(error)

    device, limits, text = ray.get(ray.remote(num_gpus=0.25, max_calls=1)(limited).remote())
    assert (device, limits) == ("cuda", [(0.25, 0)])
    assert text.startswith("0.25 of a GPU's memory, the share of a trial, is full: CUDA out of me")
