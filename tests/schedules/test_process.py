"""What must hold across processes: light imports, the same noise, the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mollitune.schedules import Blur, Sigmoid, families

SCRIPT = """
import json, pathlib, sys, tempfile
import torch
loaded = set(sys.modules)
import mollitune.schedules as schedules
loaded = sorted(set(sys.modules) - loaded)
torch.manual_seed(17)
noise = schedules.Sigmoid()(torch.zeros(5), 0.2).tolist()
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "best.json")
    schedules.Blur(sigma_max=3).save(path, z=1, a={"y": 2, "x": 3}, m=[1, 2])
    saved = path.read_text()
families = schedules.families()
print(json.dumps({"loaded": loaded, "noise": noise, "saved": saved, "families": families}))
"""


@pytest.fixture(scope="module")
def process() -> dict[str, Any]:
    """What a process says that hashes strings otherwise than this one."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, check=True, timeout=120
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_nothing_heavy_is_imported(process: dict[str, Any]) -> None:
    top = {name.split(".")[0] for name in process["loaded"]}
    heavy = {"ray", "pandas", "torchvision", "scipy", "sklearn", "pyarrow", "pydantic", "optuna"}
    assert not top & heavy
    assert "mollitune" in top
    others = ("mollitune.models", "mollitune.search", "mollitune.analysis")
    assert not [name for name in process["loaded"] if name.startswith(others)]


def test_noise_after_a_seed_is_the_same_everywhere(process: dict[str, Any]) -> None:
    torch.manual_seed(17)
    assert process["noise"] == Sigmoid()(torch.zeros(5), 0.2).tolist()


def test_hash_randomisation_changes_no_byte(process: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    Blur(sigma_max=3).save(path, z=1, a={"y": 2, "x": 3}, m=[1, 2])
    assert process["saved"] == path.read_text()
    assert process["families"] == list(families())
