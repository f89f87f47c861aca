"""The file for ``ray up`` is legal for Ray itself, and closed to strangers."""

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli as ray_cli
from tests.clusters.conftest import ROOT


def test_ray_accepts_it_with_its_own_defaults_filled_in(ray_cluster: dict[str, Any]) -> None:
    validate_config(ray_cluster)
    full = prepare_config(copy.deepcopy(ray_cluster))
    validate_config(full)
    workers = full["available_node_types"]["gpu"]
    assert workers["min_workers"] == 0 < workers["max_workers"] <= full["max_workers"]
    # Ray's defaults would bind the dashboard to every interface
    assert "0.0.0.0" not in " ".join(full["head_start_ray_commands"])
    assert not full["docker"]
    with pytest.raises(Exception, match="'max_worker' was unexpected"):
        validate_config({**ray_cluster, "max_worker": 1})


def test_the_head_has_no_gpu_and_is_not_a_spot_node(ray_cluster: dict[str, Any]) -> None:
    kinds = ray_cluster["available_node_types"]
    assert ray_cluster["head_node_type"] == "head"
    assert kinds["head"]["resources"].get("GPU", 0) == 0
    assert "InstanceMarketOptions" not in kinds["head"]["node_config"]
    # `ray exec --stop` ends in a shutdown, which must not leave a stopped machine that costs
    assert kinds["head"]["node_config"]["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert kinds["gpu"]["resources"]["GPU"] >= 1
    assert kinds["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}


def test_every_node_starts_with_the_token(ray_cluster: dict[str, Any], tmp_path: Path) -> None:
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        (command,) = (line for line in ray_cluster[key] if "ray start" in line)
        assert "RAY_AUTH_MODE=token ray start" in command
        options = command.partition("ray start ")[2].replace("$RAY_HEAD_IP", "10.0.0.1").split()
        ray_cli.commands["start"].make_context("start", options)
    assert "~/.ray/auth_token" in ray_cluster["file_mounts"]
    # the search is a Ray driver too, in a shell that reads .bashrc
    (line,) = [c for c in ray_cluster["setup_commands"] if ".bashrc" in c]
    (tmp_path / ".bashrc").touch()
    for _ in range(2):  # Ray runs the setup again after every change of the file
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        subprocess.run(["bash", "-c", line], env=environment, check=True)
    text = (tmp_path / ".bashrc").read_text()
    assert text == "export RAY_AUTH_MODE=token PATH=$HOME/venv/bin:$PATH\n"


def test_setup_runs_as_shell_and_installs_lock_and_wheel(ray_cluster: dict[str, Any]) -> None:
    commands = [*ray_cluster["setup_commands"], *ray_cluster["head_setup_commands"]]
    for command in commands:
        subprocess.run(["bash", "-n", "-c", command], check=True)
    lock, wheel = (
        next(i for i, command in enumerate(commands) if needle in command)
        for needle in ("--require-hashes -r ~/mollitune/requirements.lock", "/mollitune-*.whl")
    )
    assert lock < wheel
    assert "--no-deps" in commands[wheel]
    assert ray_cluster["file_mounts"]["~/mollitune/dist"] == "dist"


def test_versions_are_those_of_the_repository() -> None:
    text = (ROOT / "clusters" / "ray-cluster.yaml").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.findall(r"uv/([\d.]+)/install", text) == re.findall(r"UV_VERSION := (\S+)", makefile)
    (python,) = set(re.findall(r"--python-version (\S+)", makefile))
    assert re.findall(r"uv venv .*--python (\S+)", text) == [python]
