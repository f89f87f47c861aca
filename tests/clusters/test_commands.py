"""Every command that the cluster files and their guide show is one that exists."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from ray.scripts.scripts import cli as ray_cli
from tests.clusters.conftest import ROOT, pages, shown

from mollitune.search.cli import app
from mollitune.search.config import SearchConfig, load_config

GUIDE = ROOT / "docs" / "clusters.md"
FILES = ("ray-cluster.yaml", "kuberay-rayjob.yaml", "slurm.sh")


def parameters(command: list[str]) -> dict[str, Any]:
    """Parse a command line as the program does; a wrong option or argument raises."""
    group: Any = typer.main.get_command(app)
    verb, *rest = command[1:]
    context = group.commands[verb].make_context(verb, rest)
    return dict(context.params)


def searched(command: list[str], find: Callable[[str], Path]) -> SearchConfig:
    given = parameters(command)
    assert given["address"] == "auto"
    return load_config(find(str(given["config"])), given["overrides"])


def test_commands_parse(config_file: Callable[[str], Path]) -> None:
    commands = {command for page in pages() for command in shown(page)}
    assert len(commands) > 5
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "mollitune"
        given = parameters(words)
        if words[1] in ("space", "search"):
            load_config(config_file(str(given["config"])), given["overrides"])
    for slip in ("--adress auto", "--address", "--results x"):
        with pytest.raises(Exception, match=r"[Oo]ption"):
            parameters(["mollitune", "search", "examples/digits.yaml", *slip.split()])


@pytest.mark.parametrize("name", FILES)
def test_every_file_has_a_command_for_each_purpose_that_names_the_search(
    name: str, header: Callable[[str, str], str], config_file: Callable[[str], Path]
) -> None:
    text = (ROOT / "clusters" / name).read_text("utf-8")
    starts = re.findall(r"mollitune search [^\n\"$]*address[^\n\"$]*", text)
    if name == "slurm.sh":  # its variables; the script itself is run in test_slurm
        search, root = load_config(ROOT / "examples" / "digits.yaml").name, "~/searches"
    else:
        config = searched(shlex.split(starts[0]), config_file)
        search, root = config.name, config.root
    for purpose in ("start", "watch", "resume", "fetch"):
        command = header(name, purpose)
        program, *rest = shlex.split(command.partition(" | ")[0])
        assert program in {"ray", "kubectl", "sed", "sbatch", "tail", "mollitune"}
        assert rest
        for word in rest:
            if word.startswith(("clusters/", "examples/", "docs/")):
                assert (ROOT / word).exists()
        if purpose in ("resume", "fetch") and "mollitune" in command:
            assert f" {search} --results {root}" in command


@pytest.mark.parametrize("name", ["ray-cluster.yaml", "kuberay-rayjob.yaml"])
def test_a_cluster_that_grows_is_told_the_gpu_share(
    name: str, config_file: Callable[[str], Path]
) -> None:
    """With null, GPUs that are not there at the start would be divided: none."""
    text = (ROOT / "clusters" / name).read_text("utf-8")
    command = re.findall(r"mollitune search [^\n\"]*address[^\n\"]*", text)[0]
    config = searched(shlex.split(command), config_file)
    assert config.resources.gpu is not None
    assert config.root.startswith("s3://")


def test_ray_commands_parse() -> None:
    lines = [
        line
        for page in pages()
        for line in re.findall(r"^(?:# +\w+: +)?(ray .+)$", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert lines
    for line in lines:
        verb, *rest = shlex.split(line)[1:]
        parsed = ray_cli.commands[verb].make_context(verb, rest).params
        file = parsed.get("cluster_config_file")
        assert file is None or (ROOT / file).exists()


def test_the_guide_names_every_file() -> None:
    for name in (*FILES, "Dockerfile"):
        assert f"](../clusters/{name})" in GUIDE.read_text("utf-8")


def test_no_secret_stands_in_a_file() -> None:
    names = "secret_access_key|access_key_id|password|RAY_AUTH_TOKEN"
    for page in pages():
        text = page.read_text("utf-8")
        found = re.findall(rf"(?i)AKIA[0-9A-Z]{{16}}|(?:{names})\s*[=:]\s*\S", text)
        assert not found + re.findall(r"\b[0-9a-f]{32,}\b", text), page.name
