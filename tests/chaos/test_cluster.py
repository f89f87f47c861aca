"""A search on a real Ray cluster loses a process, its driver, and one of the two nodes."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.chaos import faulty
from tests.chaos.cluster import HEAD, IN_ITS_OWN, OTHER, Node, free_port
from tests.chaos.searches import Searches

from mollitune.analysis import load_results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="other loopback addresses are of Linux"),
]
TRIALS, STEPS, EVERY = 3, 40, 4
BESIDE = """
import threading

import faulty
import torch
from torch import Tensor

LOCK = threading.Lock()


class Mine(faulty.Plain):
    pass


class NotToBeSent(Mine):
    def loss(self, x: Tensor) -> Tensor:
        with LOCK:
            return super().loss(x)
"""
CONFIG: dict[str, Any] = {
    "families": ["linear"],
    "trials": TRIALS,
    "workers": 2,
    "steps": STEPS,
    "stopping": {"policy": "none"},
    "fid": {"samples": 60, "every": EVERY / STEPS},
    "resources": {"checkpoint_seconds": 0},
}
# an evaluation may have been made and not been reported, and the one before it not been saved
LOST = 2 * EVERY
TIMED = 9
"""Steps of the model that are tried and timed before the first trial, at most."""


@pytest.fixture(scope="module")
def head(searches: Searches) -> Iterator[str]:
    """The address of a cluster of one node with room for one trial."""
    shutil.copy(faulty.__file__, searches.folder)
    with tempfile.TemporaryDirectory(prefix="c-", ignore_cleanup_errors=True) as folder:
        token = Path(folder) / "token"
        token.write_text(secrets.token_hex(32))
        searches.environment.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))
        port = free_port(HEAD)
        node = Node(
            searches.environment,
            searches.folder / "head.txt",
            *("--head", f"--port={port}", f"--node-ip-address={HEAD}", f"--temp-dir={folder}"),
            *("--num-cpus=1", "--num-gpus=0", "--include-dashboard=false"),
        )
        try:
            node.wait()
            yield f"{HEAD}:{port}"
        finally:
            node.kill()


@pytest.fixture(scope="module")
def other(searches: Searches, head: str) -> Iterator[Node]:
    """A second node with room for one trial, or two that ask for what it has; lost in the end."""
    node = Node(
        searches.environment,
        searches.folder / "other.txt",
        *(f"--address={head}", f"--node-ip-address={OTHER}"),
        *("--num-cpus=1", "--num-gpus=0", f"--resources={json.dumps({'pool': 1})}"),
    )
    try:
        node.wait()
        yield node
    finally:
        node.kill()


@pytest.fixture
def elsewhere(searches: Searches, head: str) -> Iterator[str]:
    """A third node, which does not see the folder of the models; the resource that it has."""
    if subprocess.run([*IN_ITS_OWN, "true"], capture_output=True).returncode:
        pytest.skip("mounts of one's own are not allowed here")
    node = Node(
        searches.environment,
        searches.folder / "elsewhere.txt",
        *(f"--address={head}", "--node-ip-address=127.0.0.4", "--num-cpus=1", "--num-gpus=0"),
        f"--resources={json.dumps({'elsewhere': 1})}",
        hidden=searches.folder,
    )
    try:
        node.wait()
        yield "elsewhere"
    finally:
        node.kill()


def config(searches: Searches, name: str, **values: Any) -> str:
    model = {"name": "faulty:Paced", "hparams": {"log": str(searches.folder / f"{name}.log")}}
    return searches.config(name, model=model, **{**CONFIG, **values})


def steps(searches: Searches, name: str) -> Counter[int]:
    """Training steps by the process that made them."""
    log = searches.folder / f"{name}.log"
    made = log.read_text().split("\n")[:-1] if log.exists() else []
    return Counter(map(int, made))


def on_its_way(made: int) -> bool:
    """Return whether a process is well inside a trial, from the steps that it made in all."""
    return 3 * EVERY + TIMED < made % STEPS < STEPS - EVERY


def wait(process: Any, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finished(process: Any) -> str:
    text: str = process.communicate(timeout=300)[0]
    assert process.returncode == 0, text
    return text


def check(searches: Searches, name: str) -> pd.DataFrame:
    """Check that every trial was trained to its end and every row is there once."""
    results = searches.results(name)
    assert results.trials["trial"].tolist() == list(range(TRIALS))
    assert set(results.trials["status"]) == {"completed"}
    final = {round(0.9 * STEPS), round(0.95 * STEPS)}
    marks = sorted({*range(EVERY, STEPS + 1, EVERY), *final})
    for _, reports in results.reports.groupby("trial"):
        assert reports["step"].tolist() == marks
    searches.assert_each_row_once(name)
    return results.trials


def test_a_killed_process_and_a_killed_driver_where_the_resources_are(
    searches: Searches, head: str, other: Node
) -> None:
    resources = {**CONFIG["resources"], "cpu": 0.5, "custom": {"pool": 0.5}}
    there = set[int]()

    def when(condition: Callable[[Counter[int]], bool]) -> Callable[[], bool]:
        def met() -> bool:
            there.update(other.pids())
            return condition(steps(searches, "killed"))

        return met

    config_file = config(searches, "killed", resources=resources)
    process = searches.start("search", config_file, "--address", head)
    wait(process, when(lambda made: any(map(on_its_way, made.values()))))
    before = steps(searches, "killed")
    os.kill(next(pid for pid, made in before.items() if on_its_way(made)), signal.SIGKILL)
    wait(process, when(lambda made: made.total() > (TRIALS - 1) * STEPS))
    process.kill()
    process.communicate()
    process = searches.start("resume", "killed", "--address", head)
    while process.poll() is None:
        there.update(other.pids())
        time.sleep(0.1)
    finished(process)
    check(searches, "killed")
    made = steps(searches, "killed")
    # one process was killed, then two with the driver
    assert made.total() <= TRIALS * STEPS + 3 * LOST + TIMED
    trained = {pid for pid, count in made.items() if count > TIMED}
    assert set() < trained <= there
    assert searches.results("killed").metadata["config"]["address"] == head


def test_a_model_of_ones_own_trains_where_its_module_is_not(
    searches: Searches, head: str, elsewhere: str, tmp_path: Path
) -> None:
    (searches.folder / "beside.py").write_text(BESIDE)
    values: dict[str, Any] = {"results": str(tmp_path), "fid": {"samples": 60}, "steps": 12}
    values["resources"] = {"custom": {elsewhere: 1}}
    names = {"whole": "beside:Mine", "not": "beside:NotToBeSent"}
    configs = {
        name: searches.config(name, **{**CONFIG, **values, "model": model})
        for name, model in names.items()
    }
    finished(searches.start("search", configs["whole"], "--address", head))
    results = load_results("whole", tmp_path)
    assert set(results.trials["status"]) == {"completed"}
    told = searches.run("search", configs["not"], "--address", head, code=2)
    assert "mollitune: beside:NotToBeSent cannot be sent to the nodes (" in told
    assert "Traceback" not in told
    assert not (tmp_path / "not").exists()


def test_who_may_not_join_is_told_so_at_once(searches: Searches, head: str) -> None:
    token = searches.folder / "another"
    token.write_text(secrets.token_hex(32))
    kept = searches.environment["RAY_AUTH_TOKEN_PATH"]
    try:
        for path in (token, searches.folder / "none"):
            searches.environment["RAY_AUTH_TOKEN_PATH"] = str(path)
            told = searches.run("search", config(searches, "out"), "--address", head, code=2)
            assert told.startswith(
                f"mollitune: cannot use Ray on {head}: its token is another one"
            )
            assert told.count("\n") == 1
    finally:
        searches.environment["RAY_AUTH_TOKEN_PATH"] = kept


def test_what_no_node_has_is_waited_for_aloud(searches: Searches, head: str) -> None:
    file = config(searches, "waiting", resources={"gpu": 1})
    process = searches.start("search", file, "--address", head)
    try:
        lines = iter(process.stdout or ())
        assert any(line.startswith("resources: no node has 1 CPU and 1 GPU yet") for line in lines)
        line = next(line for line in lines if " placed: " in line)
        assert line.startswith(
            "0 of 1 trials placed: each needs 1 CPU and 1 GPU, the cluster has "
        )
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert not (searches.folder / "results" / "waiting").exists()


def test_a_lost_node(searches: Searches, head: str, other: Node) -> None:
    process = searches.start("search", config(searches, "lost"), "--address", head)
    there = set[int]()

    def to_be_lost() -> bool:
        made = steps(searches, "lost")
        there.update(other.pids() & set(made))
        return any(on_its_way(made[pid]) for pid in there)

    wait(process, to_be_lost)
    other.kill()
    finished(process)
    trials = check(searches, "lost")
    assert sorted(trials["attempt"]) == [1] * (TRIALS - 1) + [2]
    assert steps(searches, "lost").total() <= TRIALS * STEPS + LOST + TIMED
