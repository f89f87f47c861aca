"""Searching from Python: objects in a config, a Ray of the user's own, and what a cell shows."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from mollitune._errors import MollituneError
from mollitune.models import GenerativeModel
from mollitune.search.api import Search
from mollitune.search.launch.told import Asked
from mollitune.search.tune.plugged import plugged


class Mean(GenerativeModel):
    """One mean per dimension."""

    def __init__(self, shape: tuple[int, int, int], scale: float = 1.0) -> None:
        super().__init__(shape)
        self.mean = nn.Parameter(torch.zeros(self.dims))
        self._scale = scale

    def loss(self, x: Tensor) -> Tensor:
        return self._nll(x, None).mean() / self.dims

    def _nll(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._scale * (x.flatten(1) - self.mean).square().sum(1)

    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        noise = torch.randn(n, self.dims, generator=generator)
        return (self.mean + temperature * noise).reshape(n, *self.shape)


def distance(generated: Tensor, real: Tensor) -> float:
    """Distance of the means."""
    return float((generated.mean(0) - real.mean(0)).norm())


def test_objects_stand_where_names_do(tmp_path: Path) -> None:
    digits = np.random.default_rng(0).integers(0, 256, (200, 1, 8, 8), np.uint8)
    search = Search(
        {"trials": 40, "steps": 30},
        dataset=digits,
        model={"name": Mean, "hparams": {"scale": 0.5}},
        space={"sigmoid": {"until": [0.3, 0.7]}, "cosine": {}, "lr": [1e-4, 1e-2]},
        fid={"extra": [distance]},
        results=tmp_path,
    )
    config = search.config
    assert config.dataset.startswith("array:")
    assert config.model[0].name == f"{__name__}:Mean"
    assert [family.family for family in config.families] == ["sigmoid", "cosine"]
    assert list(config.model[0].hyperspace.dimensions) == ["lr"]
    assert config.fid.extra == [f"{__name__}:distance"]
    assert (config.trials, config.steps) == (40, 30)
    assert search.name == "Mean-array"


def test_a_scheduler_of_ray_tune_is_kept_as_it_is_before_it_has_learned(tmp_path: Path) -> None:
    from ray.tune.schedulers import ASHAScheduler

    scheduler = ASHAScheduler(time_attr="step", max_t=20, metric="fid", mode="min")
    search = Search(model="vae", results=tmp_path, scheduler=scheduler, search_alg="optuna")
    assert search.config.scheduler is not None
    assert search.config.scheduler.startswith("given:AsyncHyperBandScheduler_")
    one, other = (plugged(search.config, 8, []) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.scheduler == "ray:AsyncHyperBandScheduler"
    assert one.fed is not other.fed


def test_a_name_is_found_that_is_free(tmp_path: Path) -> None:
    for taken in ("vae-digits", "vae-digits-2"):
        (tmp_path / taken).mkdir()
        (tmp_path / taken / "search.json").touch()
    assert Search(model="vae", results=tmp_path).name == "vae-digits-3"
    assert Search(model=["vae", "maf"], results=tmp_path).name == "vae-maf-digits"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"model": "vae", "trails": 3}, "Search: unknown key 'trails'; did you mean 'trials'"),
        ({"model": "vea"}, "model 'vea' is unknown; did you mean 'vae'"),
        ({"model": lambda shape: None}, "has no name to go by; give a class or a function"),
        ({"model": nn.Linear(2, 2)}, "has no name to go by; give a class or a function"),
        ({"model": nn.Linear}, r"cannot be called with \(shape\)"),
        ({"model": "vae", "dataset": 7}, "dataset: int is no array"),
        ({"model": "vae", "space": {"sigmoid": {"until": [0.7, 0.3]}}}, "until"),
        ({}, "key model is missing|model"),
    ],
)
def test_what_is_not_allowed_is_one_line(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(MollituneError, match=said):
        Search(**keys)


IN_A_CELL = """
import os

import numpy as np
import ray
import torch
from rich.console import Console
from torch import nn

import mollitune
from mollitune.models import GenerativeModel

class Mine(GenerativeModel):
    def __init__(self, shape, scale=1.0):
        super().__init__(shape)
        self.mean = nn.Parameter(torch.zeros(self.dims))

    def loss(self, x):
        return self._nll(x, None).mean() / self.dims

    def _nll(self, x, generator):
        return (x.flatten(1) - self.mean).square().sum(1)

    def _draw(self, n, generator, temperature):
        noise = torch.randn(n, self.dims, generator=generator)
        return (self.mean + temperature * noise).reshape(n, *self.shape)

def distance(generated, real):
    "Distance of the means."
    return float((generated.mean(0) - real.mean(0)).norm())

quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
ray.init(num_cpus=2, _node_ip_address="127.0.0.2", _temp_dir=os.environ["SHORT"], **quiet)
before = dict(os.environ)
search = mollitune.Search(
    dataset=np.random.default_rng(0).integers(0, 256, (400, 8, 8), np.uint8),
    model=Mine,
    fid={"samples": 60, "every": 0.5, "extra": [distance]},
    space={"linear": {}},
    steps=20,
    trials=3,
    workers=1,
    console=Console(quiet=True),
)
result = search.run()
assert result.status == "finished"
assert set(result.trials["status"]) == {"completed"}
assert result.reports["extra.distance"].notna().all()
assert len(result.result_grid) == 3
assert len(search.extend(1).trials) == 4
confirmed = search.confirm(top=1, seeds=2, samples=60)
(verdict,) = search.verdicts
assert verdict.model == "__main__:Mine"
assert verdict.sentence in confirmed._repr_html_()
assert search.run().status == "finished"
assert search.report().stat().st_size > 100_000
assert search.best().model == "__main__:Mine"
assert ray.get(ray.remote(lambda: 7).remote()) == 7
assert dict(os.environ) == before
"""
ALONE = """
import os

import ray

import mollitune

before = dict(os.environ)
found = mollitune.run(
    model="vae", space={"linear": {}}, steps=20, trials=3, workers=1, fid={"samples": 60}
)
assert found.status == "finished"
assert "On vae, " in found._repr_html_()
assert not ray.is_initialized()
new = {name for name in set(os.environ) - set(before) if name.startswith(("RAY_", "TUNE_"))}
assert new <= {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"}, new
assert not os.path.exists(os.path.expanduser("~/.ray/auth_token"))
"""


def quality(asked: Asked) -> float:
    """Stands for a training: mollification for half of it is best."""
    return 20 + 30 * (asked.schedule.until - 0.5) ** 2 + 0.1 * (asked.seed % 3)


def told(folder: Path, **keys: Any) -> Search:
    values: dict[str, Any] = {"trials": 16, "families": ["linear", "sigmoid"], "seed": 3}
    return Search(
        model="vae", results=folder, name="told", console=Console(quiet=True), **{**values, **keys}
    )


def test_who_trains_elsewhere_asks_and_tells(tmp_path: Path) -> None:
    search = told(tmp_path)
    runs = []
    while (asked := search.ask()) is not None:
        runs.append(asked)
        if asked.trial == 4:
            search.tell(asked, error="the disk was full")
        else:
            search.tell(asked, quality(asked), bpd=3.0)
    search.close()
    assert [run.trial for run in runs] == list(range(16))
    results = search.results
    assert results.metadata["status"] == "finished"
    assert results.trials["status"].tolist() == ["completed"] * 4 + ["failed"] + 11 * ["completed"]
    assert results.trials.loc[4, "error"] == "the disk was full"
    completed = results.trials.drop(index=4)
    assert completed["final_fid"].tolist() == [quality(run) for run in runs if run.trial != 4]
    assert set(results.reports["extractor"]) == {"elsewhere"}
    assert search.best().sentence.startswith("On vae, ")
    assert search.best().schedule.until == pytest.approx(0.5, abs=0.2)
    assert search.report().exists()


def test_what_was_asked_and_not_told_is_asked_again(tmp_path: Path) -> None:
    whole, cut = told(tmp_path / "whole"), told(tmp_path / "cut")
    wanted = []
    while (asked := whole.ask()) is not None:
        wanted.append(asked)
        whole.tell(asked, quality(asked))
    found = []
    for number in range(16):
        asked = cut.ask()
        assert asked is not None
        if number % 5 == 3:  # its process is gone
            cut.close()
            cut = told(tmp_path / "cut")
            again = cut.ask()
            assert again == asked
        found.append(asked)
        cut.tell(asked, quality(asked))
    assert found == wanted
    assert cut.ask() is None
    with pytest.raises(MollituneError, match="trial 15 is not open"):
        cut.tell(found[-1], 3.0)
    with pytest.raises(MollituneError, match="another driver works on"):
        told(tmp_path / "cut").ask()
    whole.close()
    cut.close()
    with pytest.raises(MollituneError, match="was begun with another seed"):
        told(tmp_path / "cut", seed=4).ask()


def test_a_metric_without_a_column_is_refused(tmp_path: Path) -> None:
    search = told(tmp_path)
    asked = search.ask()
    assert asked is not None
    with pytest.raises(MollituneError, match="no column for sharpness; tell fid, bpd, nll, kid"):
        search.tell(asked, 3.0, sharpness=1.0)
    search.tell(asked, 3.0, kid=0.1)
    search.close()
    assert search.results.reports["kid"].tolist() == [0.1]


@pytest.mark.slow
@pytest.mark.parametrize("script", [IN_A_CELL, ALONE], ids=["in_a_cell", "alone"])
def test_a_script_gets_its_verdict_and_keeps_its_ray(tmp_path: Path, script: str) -> None:
    """With a class that no worker can import, an array, a metric; it changes nothing else."""
    with tempfile.TemporaryDirectory(prefix="a-", ignore_cleanup_errors=True) as short:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), "SHORT": short, "TMPDIR": short},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout + done.stderr
