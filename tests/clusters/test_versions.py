"""What the cluster files install is what the lock holds."""

import re
from typing import Any

from tests.clusters.conftest import ROOT, pages


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments), continued lines joined."""
    text = (ROOT / "clusters" / "Dockerfile").read_text("utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line)
    ]


def test_the_image_installs_the_lock_with_hashes_and_then_only_the_wheel() -> None:
    parsed = instructions()
    assert {name for name, _ in parsed} == {"FROM", "RUN", "COPY", "USER", "WORKDIR"}
    assert all(rest for _, rest in parsed)
    assert ("USER", "1000") in parsed  # not root
    (system,) = (rest for name, rest in parsed if name == "RUN" and "apt-get install" in rest)
    assert " g++ " in system  # for resources.compile
    (python,) = set(re.findall(r"--python-version (\S+)", (ROOT / "Makefile").read_text("utf-8")))
    assert parsed[0] == ("FROM", f"python:{python}-slim")
    lock, ray, wheel = (rest for name, rest in parsed if name == "RUN" and "pip install" in rest)
    assert "--require-hashes --requirement /tmp/requirements.lock" in lock
    assert '"ray[default]==' in ray
    assert wheel.endswith("--no-deps /tmp/mollitune-*.whl")
    copied = [rest.split()[0] for name, rest in parsed if name == "COPY"]
    assert copied == ["requirements.lock", "dist/mollitune-*.whl"]
    ignore = (ROOT / "clusters" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert ignore[1:] == ["*", "!requirements.lock", "!dist/*.whl"]


def test_torch_comes_from_the_lock_with_cuda(lock: dict[str, str]) -> None:
    """The image names no torch, so the locked one stays; its CUDA stands in a note."""
    assert "torch" in lock
    major = lock["cuda-toolkit"].partition(".")[0]
    text = (ROOT / "clusters" / "ray-cluster.yaml").read_text("utf-8")
    assert re.findall(r"driver for CUDA (\d+)", text) == [major]


def test_a_pinned_version_is_the_locked_one(rayjob: dict[str, Any], lock: dict[str, str]) -> None:
    pin = re.compile(r"\b([A-Za-z][\w.-]*)(?:\[[\w,-]+\])?==([\w.]+)")
    with_ray = set()
    for page in pages():
        for package, version in pin.findall(page.read_text("utf-8")):
            assert version == lock[package], page
            if package == "ray":
                with_ray.add(page.name)
    assert with_ray >= {"Dockerfile", "ray-cluster.yaml"}
    assert rayjob["spec"]["rayClusterSpec"]["rayVersion"] == lock["ray"]
