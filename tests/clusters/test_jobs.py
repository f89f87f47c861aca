"""A search submitted to Ray's own job server, by the line of the guide; again, it goes on."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.chaos import faulty
from tests.chaos.cluster import HEAD, Node, free_port
from tests.chaos.searches import BIN

from mollitune.analysis import load_results

pytest.importorskip("aiohttp_cors", reason="needs ray[default]: make peers")
pytestmark = [
    pytest.mark.peers,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="other loopback addresses are of Linux"),
]
CONFIG = {
    "name": "job",
    "model": "faulty:Plain",
    "families": ["linear"],
    "trials": 2,
    "steps": 12,
    "fid": {"samples": 60},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a job server."""
    with tempfile.TemporaryDirectory(prefix="j-", ignore_cleanup_errors=True) as folder:
        ports = [free_port(HEAD) for _ in range(2)]
        environment = {
            **os.environ,
            "RAY_AUTH_MODE": "disabled",
            "HOME": str(tmp_path),
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        node = Node(
            environment,
            tmp_path / "head.txt",
            *("--head", f"--port={ports[0]}", f"--node-ip-address={HEAD}", "--num-cpus=2"),
            *(f"--temp-dir={folder}", "--num-gpus=0", "--include-dashboard=true"),
            *(f"--dashboard-host={HEAD}", f"--dashboard-port={ports[1]}"),
        )
        try:
            node.wait()
            yield f"http://{HEAD}:{ports[1]}"
        finally:
            node.kill()


def submit(server: str, folder: Path, results: Path) -> str:
    command = ["mollitune", "search", "search.yaml", "--or-resume", f"results={results}"]
    done = subprocess.run(
        [
            *(str(BIN / "ray"), "job", "submit", "--address", server),
            *("--working-dir", str(folder), "--", *command),
        ],
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_job_with_a_model_of_ones_own_and_once_more(server: str, tmp_path: Path) -> None:
    folder, results = tmp_path / "mine", tmp_path / "results"
    folder.mkdir()
    shutil.copy(faulty.__file__, folder)
    (folder / "search.yaml").write_text(yaml.safe_dump(CONFIG))
    told = submit(server, folder, results)
    assert "2 completed in" in told
    found = load_results("job", results)
    assert set(found.trials["status"]) == {"completed"}
    assert f"{results}/job has ended already" in submit(server, folder, results)
