"""The cluster files, and the commands that they and their guide tell one to type."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLUSTERS = ROOT / "clusters"
VERBS = "space|search|resume|extend|query|report|best|replay|confirm"
_COMMAND = re.compile(rf"(?<![\w/.-])mollitune (?:{VERBS})\b[^\n\"'`|;]*")


def pages() -> list[Path]:
    """Every text that shows a command."""
    return [*sorted(path for path in CLUSTERS.iterdir()), ROOT / "docs" / "clusters.md"]


def shown(page: Path) -> list[str]:
    """The ``mollitune`` commands of a page; those with shell variables are run instead."""
    text = page.read_text("utf-8")
    if page.suffix == ".md":
        blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        return [line for block in blocks for line in block.splitlines()]
    found = (match.group().strip() for match in _COMMAND.finditer(text))
    return [command for command in found if "$" not in command and len(command.split()) > 2]


def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """The config map and the RayJob."""
    text = (CLUSTERS / "kuberay-rayjob.yaml").read_text("utf-8")
    config_map, job = yaml.safe_load_all(text)
    return config_map, job


@pytest.fixture(scope="session")
def rayjob() -> dict[str, Any]:
    return documents()[1]


@pytest.fixture(scope="session")
def ray_cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CLUSTERS / "ray-cluster.yaml").read_text("utf-8"))
    return loaded


@pytest.fixture
def config_file(ray_cluster: dict[str, Any], tmp_path: Path) -> Callable[[str], Path]:
    """Find here the config that a command names where it runs."""

    def find(name: str) -> Path:
        if name.startswith("/etc/mollitune/"):
            copy = tmp_path / "search.yaml"
            copy.write_text(documents()[0]["data"][Path(name).name], encoding="utf-8")
            return copy
        mounts: dict[str, str] = ray_cluster["file_mounts"]
        return ROOT / mounts.get(f"~/{name}", name)

    return find


@pytest.fixture(scope="session")
def header() -> Callable[[str, str], str]:
    """Return the command that the header of a file gives for one purpose."""

    def find(name: str, purpose: str) -> str:
        text = (CLUSTERS / name).read_text("utf-8")
        (command,) = re.findall(rf"^#   {purpose}: +(.+)$", text, re.MULTILINE)
        return str(command)

    return find


@pytest.fixture(scope="session")
def lock() -> dict[str, str]:
    """The locked version of every package."""
    text = (ROOT / "requirements.lock").read_text("utf-8")
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", text, re.MULTILINE))
