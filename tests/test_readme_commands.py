"""Every command and snippet of the README is run, as a user would."""

import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.chaos.cluster import HEAD, Node, free_port
from tests.test_readme import MODELS, PYTHON, ROOT, blocks, commands

from mollitune.analysis import load_results
from mollitune.search.cli import main

pytestmark = pytest.mark.slow
TINY = ("fid.samples=100", "fid.every=0.5", "workers=1")
TWO_MODELS = "model=[{name: vae, steps: 12}, {name: realnvp, steps: 6}]"
CLI = (sys.executable, "-m", "mollitune.search.cli")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a user types: a folder with the examples, a small data file and a search `digits`."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(ROOT / "examples", folder / "examples")
    write_images(folder / "cifar10-train.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MOLLITUNE_CACHE", str(folder / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        # a token that Ray left in the home folder would guard the cluster but not be sent to it
        patch.setenv("HOME", str(folder))
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            patch.delenv(name, raising=False)
        # Ray's workers are nice by default, and would starve beside other work on the machine
        patch.setenv("RAY_worker_niceness", "0")
        output = typed(["search", "examples/digits.yaml", *TINY, TWO_MODELS, "trials=10"])
        assert "report:   results/digits/report.html" in output
        assert "schedule: results/digits/best.json" in output
        assert "On realnvp, " in output
        yield folder


def write_images(path: Path) -> None:
    """Write 120 small labelled images in the layout of the Hugging Face hub."""
    rng = np.random.default_rng(0)
    cells = []
    for label in range(120):
        pixels = (rng.integers(0, 64, (8, 8, 3)) + 90 * (label % 2)).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": f"{label}.png"})
    labels = pa.array([label % 2 for label in range(120)], pa.int64())
    pq.write_table(pa.table({"image": cells, "label": labels}), path)


def typed(args: list[str], **environment: str) -> str:
    """Run the command line in a process of its own; return what it printed."""
    done = subprocess.run(
        [*CLI, *args], env=os.environ | environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def called(args: list[str]) -> None:
    """Run the command line in this process."""
    with pytest.raises(SystemExit, match=r"^0$"):
        main(args)


def make(target: str) -> str:
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a Ray cluster of one node, on this machine."""
    address = f"{HEAD}:{free_port(HEAD)}"
    # sockets below it: their paths may have no more than 107 bytes
    with tempfile.TemporaryDirectory(prefix="r-", ignore_cleanup_errors=True) as folder:
        options = ("--head", "--node-ip-address", HEAD, "--port", address.rpartition(":")[2])
        more = ("--num-cpus=1", "--include-dashboard=false", f"--temp-dir={folder}")
        node = Node(dict(os.environ), tmp_path / "head.txt", *options, *more)
        try:
            node.wait()
            yield address
        finally:
            node.kill()


def run_make_search(_: list[str], __: Any) -> None:
    assert "mollitune search examples/digits.yaml" in make("search")


def run_make_test(_: list[str], __: Any) -> None:
    assert 'pytest -m "not slow"' in make("test")
    assert "pytest\n" in make("test-all")


def run_nothing(_: list[str], __: Any) -> None:
    """Nothing more: what the other commands read is the outcome of this one."""
    assert Path("results/digits/reports").is_dir()


def run_light(args: list[str], _: Any) -> None:
    called(args)


def run_on_images(args: list[str], _: Any) -> None:
    output = typed([*args, *TINY, TWO_MODELS, "trials=4", "arms=2"])
    assert "On realnvp, " in output


def run_planned(args: list[str], request: pytest.FixtureRequest) -> None:
    """Another search of the digits, as far as a plan: the one above has shown how it goes on."""
    printed = request.getfixturevalue("capsys")
    called(["space", *args[1:]])
    assert "cost: 50 trials, 2 at once" in printed.readouterr().out


def run_resume(args: list[str], _: Any) -> None:
    output = typed(args)
    assert "Resuming: replayed " in output
    assert "completed" in output  # nothing was left to do


def run_extend(args: list[str], _: Any) -> None:
    before = searched()
    assert f"[{before + 6}/{before + 6}]" in typed(args)
    assert searched() == before + 6


def searched() -> int:
    """Trials of the search; those of its confirmation are no part of what is extended."""
    return int((load_results("results/digits").trials["stage"] == "search").sum())


def run_confirm(args: list[str], _: Any) -> None:
    output = typed([*args, "--top", "1", "--seeds", "2", "--samples", "60"])
    assert "On realnvp, " in output
    verdicts = load_results("results/digits").read_file("verdict.json")
    assert verdicts is not None


def run_train(args: list[str], _: Any) -> None:
    assert args[-2] == "--steps"
    tiny = ["--evaluations", "1", "--fid-samples", "60", "--output", "runs/readme"]
    called([*args[:-1], "4", *tiny])
    assert Path("runs/readme/model.pt").exists()


def run_on_cluster(args: list[str], request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue("cluster")
    tiny = [*TINY, "model={name: vae, steps: 6}", "families=[linear]", "trials=2"]
    output = typed([*args, *tiny], RAY_ADDRESS=address)
    assert "cost: vae about " in output  # measured on the cluster
    assert "2 completed" in output


RUNS: dict[str, Callable[[list[str], Any], None]] = {
    "make search": run_make_search,
    "make test": run_make_test,
    "mollitune space examples/digits.yaml": run_light,
    "mollitune search examples/digits.yaml": run_nothing,
    "mollitune confirm digits": run_confirm,
    "mollitune train --schedule realnvp.json --steps 3000": run_train,
    "mollitune search examples/digits.yaml name=digits-50 trials=50 fid.samples=5000": run_planned,
    "mollitune search examples/cifar10_parquet.yaml dataset=parquet:"
    "cifar10-train.parquet": run_on_images,
    "mollitune search examples/digits.yaml name=on-cluster --address auto": run_on_cluster,
    "mollitune query digits 'select family, count(*), min(fid) from reports where comparable "
    "group by family'": run_light,
    "mollitune query digits 'from trials' --csv": run_light,
    "mollitune resume digits": run_resume,
    "mollitune extend digits --trials 6": run_extend,
    "mollitune report digits": run_light,
    "mollitune report digits --watch": run_light,  # the search has finished: one round
    "mollitune best digits --model realnvp --export realnvp.json": run_light,
}
"""How each command of the README is run; one that is not listed here fails the test."""


@pytest.mark.parametrize("command", commands())
def test_command(command: str, place: Path, request: pytest.FixtureRequest) -> None:
    assert command in RUNS, "add the command to RUNS, so that it is tested"
    RUNS[command](shlex.split(command)[1:], request)


def test_no_command_is_listed_that_the_readme_does_not_have() -> None:
    assert set(RUNS) == set(commands())


def test_python_snippets_run_in_order(place: Path) -> None:
    script = place / "snippets.py"
    script.write_text("\n".join(blocks("python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "realnvp" in done.stdout  # what the snippets print


def test_snippets_of_searching_from_python_run(place: Path) -> None:
    script = place / "from_python.py"
    script.write_text("\n".join(blocks("python", PYTHON)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=200, cwd=place
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "On vae, " in done.stdout


def test_a_model_of_ones_own_in_thirty_lines(place: Path) -> None:
    """What docs/models.md tells one to type, from the file to the search."""
    (snippet,) = blocks("python", MODELS)
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 30
    (place / "my_models.py").write_text(snippet, encoding="utf-8")
    (config,) = (block for block in blocks("yaml", MODELS) if "my_models" in block)
    (place / "mine.yaml").write_text(config, encoding="utf-8")
    (command,) = blocks("console", MODELS)
    output = typed([*shlex.split(command)[1:], *TINY, "trials=3", "results=own"])
    assert "On my_models:Mixture, " in output
    trials = load_results(place / "own" / "mine").trials
    assert set(trials["status"]) <= {"completed", "stopped"}
    # One Gaussian per pixel, fitted in closed form, costs 7.74 bits.
    assert trials["final_bpd"].min() < 7
