"""What the cluster files install is what the lock holds."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTIONS = {"FROM", "RUN", "COPY", "USER", "WORKDIR"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments), continued lines joined."""
    text = (ROOT / "clusters" / "Dockerfile").read_text("utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line)
    ]


def test_the_dockerfile_parses() -> None:
    parsed = instructions()
    assert parsed[0][0] == "FROM"
    assert {name for name, _ in parsed} == INSTRUCTIONS
    assert all(rest for _, rest in parsed)


def test_the_image_installs_the_lock_with_hashes_and_then_only_the_wheel() -> None:
    pip = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    lock, ray, wheel = pip
    assert "--require-hashes --requirement /tmp/requirements.lock" in lock
    assert '"ray[default]==' in ray
    assert wheel.endswith("--no-deps /tmp/mollitune-*.whl")
    copied = [rest.split()[0] for name, rest in instructions() if name == "COPY"]
    assert copied == ["requirements.lock", "dist/mollitune-*.whl"]
    ignore = (ROOT / "clusters" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert ignore[1:] == ["*", "!requirements.lock", "!dist/*.whl"]


def test_the_image_is_not_run_as_root() -> None:
    assert [rest for name, rest in instructions() if name == "USER"] == ["1000"]


def test_the_python_is_that_of_the_lock() -> None:
    (base,) = [rest for name, rest in instructions() if name == "FROM"]
    (python,) = set(re.findall(r"--python-version (\S+)", (ROOT / "Makefile").read_text("utf-8")))
    assert base == f"python:{python}-slim"


def test_torch_comes_from_the_lock_with_cuda(lock: dict[str, str]) -> None:
    """The image names no torch, so the locked one stays; its CUDA stands in a note."""
    assert "torch" in lock
    major = lock["cuda-toolkit"].partition(".")[0]
    text = (ROOT / "clusters" / "ray-cluster.yaml").read_text("utf-8")
    assert re.findall(r"driver for CUDA (\d+)", text) == [major]


def pinned() -> list[tuple[str, str, str]]:
    pages = [*sorted((ROOT / "clusters").iterdir()), ROOT / "docs" / "clusters.md"]
    pin = re.compile(r"\b([A-Za-z][\w.-]*)(?:\[[\w,-]+\])?==([\w.]+)")
    return [
        (page.name, *found) for page in pages for found in pin.findall(page.read_text("utf-8"))
    ]


@pytest.mark.parametrize(("page", "package", "version"), pinned())
def test_a_pinned_version_is_the_locked_one(
    page: str, package: str, version: str, lock: dict[str, str]
) -> None:
    assert version == lock[package], page


def test_something_is_pinned_in_both_ways_to_a_cluster() -> None:
    assert {page for page, package, _ in pinned() if package == "ray"} >= {
        "Dockerfile",
        "ray-cluster.yaml",
    }


def test_kuberay_is_told_the_locked_ray(rayjob: dict[str, Any], lock: dict[str, str]) -> None:
    assert rayjob["spec"]["rayClusterSpec"]["rayVersion"] == lock["ray"]
