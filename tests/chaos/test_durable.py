"""A search of plain Ray Tune, killed at random moments, ends as one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from mollitune.search.tune import durable

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("MOLLITUNE_CHAOS_KILLS", "2"))
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "durable_trainable.py"
SAMPLES = 6 + 2 * KILLS


@pytest.fixture
def short() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="d-", ignore_cleanup_errors=True) as folder:
        yield folder


def start(folder: Path, short: str, samples: int = SAMPLES) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(folder), str(samples)],
        env={**os.environ, "HOME": short, "TMPDIR": short, "RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> None:
    text, _ = process.communicate(timeout=500)
    assert process.returncode == 0, text


def events(folder: Path) -> int:
    path = folder / "journal" / "events.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_killed_again_and_again_it_ends_as_if_it_had_been_left_alone(
    tmp_path: Path, short: str
) -> None:
    """And in two parts, the second an extension of the first, as in one."""
    whole, killed, rng = tmp_path / "whole", tmp_path / "killed", random.Random(1)
    finished(start(whole, short, SAMPLES - 3))
    finished(start(whole, short))
    done = 0
    process = start(killed, short)
    while done < KILLS:
        before = events(killed)
        while process.poll() is None and events(killed) == before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1.5))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        done += 1
        process = start(killed, short)
    finished(process)
    assert done == KILLS
    table = durable.table(whole)
    pd.testing.assert_frame_equal(durable.table(killed), table)
    assert table["trial"].tolist() == list(range(SAMPLES))
    assert set(table["status"]) == {"stopped"}
    assert table["training_iteration"].nunique() > 1
