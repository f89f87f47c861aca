"""The loops in Lightning and Accelerate, run as a user's scripts: the levels are the schedule's.

Both train 4 epochs of 12 batches and accumulate two: 24 optimiser steps.
"""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mollitune.schedules import Sigmoid

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MOLLIFY = Sigmoid(until=0.6)
STEPS = 24
LEVELS = [MOLLIFY.level(step / STEPS) for step in range(STEPS)]


def run(script: str, folder: Path, *args: str) -> str:
    MOLLIFY.save(folder / "best.json")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), "best.json", *args],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bits_per_dim(output: str) -> float:
    (text,) = re.findall(r"^([\d.]+) bits per dim on clean held-out digits$", output, re.M)
    return float(text)


def logged(folder: Path, version: int) -> pd.DataFrame:
    table = pd.read_csv(folder / "logs" / f"version_{version}" / "metrics.csv")
    return table.dropna(subset=["level"])


def printed(output: str) -> tuple[list[int], list[float], list[float]]:
    found = re.findall(r"^step (\d+) level (\S+) loss (\S+)$", output, re.M)
    return (
        [int(step) for step, _, _ in found],
        [float(level) for _, level, _ in found],
        [float(loss) for _, _, loss in found],
    )


def test_lightning_keeps_the_level_across_epochs_accumulation_and_resume(tmp_path: Path) -> None:
    assert bits_per_dim(run("lightning_module.py", tmp_path)) < 9
    whole = logged(tmp_path, 0)
    assert whole["step"].tolist() == list(range(STEPS))
    assert whole["level"].tolist() == pytest.approx(LEVELS, abs=1e-6)
    assert whole["loss"].iloc[-1] < whole["loss"].iloc[0] < math.inf
    # in the middle of the second epoch, in the middle of the mollified phase
    (checkpoint,) = (tmp_path / "checkpoints").glob("*step=10.ckpt")
    run("lightning_module.py", tmp_path, str(checkpoint))
    resumed = logged(tmp_path, 1)
    assert resumed["step"].tolist() == list(range(10, STEPS))
    assert resumed["level"].tolist() == whole["level"].tolist()[10:]
    assert resumed["level"].iloc[0] > 0 == resumed["level"].iloc[-1]


def test_accelerate_keeps_the_level_across_epochs_accumulation_and_resume(tmp_path: Path) -> None:
    output = run("accelerate_loop.py", tmp_path)
    assert bits_per_dim(output) < 9
    steps, levels, losses = printed(output)
    assert steps == list(range(1, STEPS + 1))
    assert levels == pytest.approx(LEVELS, abs=1e-6)
    assert losses[-1] < losses[0] < math.inf
    again = printed(run("accelerate_loop.py", tmp_path, "checkpoints/2"))
    assert again[0] == steps[12:]
    assert again[1] == levels[12:]
    assert again[1][0] > 0 == again[1][-1]
