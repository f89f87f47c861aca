"""Every command that the cluster files and their guide show is one that exists."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from ray.scripts.scripts import cli as ray_cli

from mollitune.search.cli import app
from mollitune.search.config import SearchConfig, load_config

ROOT = Path(__file__).resolve().parents[2]
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


def test_command_parses(command: list[str], config_file: Callable[[str], Path]) -> None:
    assert command[0] == "mollitune"
    given = parameters(command)
    if command[1] in ("space", "search"):
        load_config(config_file(str(given["config"])), given["overrides"])


@pytest.mark.parametrize("slip", ["--adress auto", "--address", "--results x"])
def test_a_slip_in_an_option_is_noticed(slip: str) -> None:
    with pytest.raises(Exception, match=r"[Oo]ption"):
        parameters(["mollitune", "search", "examples/digits.yaml", *slip.split()])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("purpose", ["start", "watch", "resume", "fetch"])
def test_every_file_has_one_command_for_each_purpose(
    name: str, purpose: str, header: Callable[[str, str], str]
) -> None:
    program, *rest = shlex.split(header(name, purpose).partition(" | ")[0])
    assert program in {"ray", "kubectl", "sed", "sbatch", "tail", "mollitune"}
    assert rest
    for word in rest:
        if word.startswith(("clusters/", "examples/", "docs/")):
            assert (ROOT / word).exists()


@pytest.mark.parametrize("name", FILES)
def test_resuming_and_fetching_name_the_search_that_is_started(
    name: str, header: Callable[[str, str], str], config_file: Callable[[str], Path]
) -> None:
    text = (ROOT / "clusters" / name).read_text("utf-8")
    starts = re.findall(r"mollitune search [^\n\"$]*address[^\n\"$]*", text)
    if name == "slurm.sh":  # its variables; the script itself is run in test_slurm
        search, root = load_config(ROOT / "examples" / "digits.yaml").name, "~/searches"
    else:
        config = searched(shlex.split(starts[0]), config_file)
        search, root = config.name, config.root
    for purpose in ("resume", "fetch"):
        command = header(name, purpose)
        if "mollitune" in command:
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


def ray_lines() -> list[str]:
    pages = [GUIDE, *(ROOT / "clusters" / name for name in FILES)]
    found = [
        line
        for page in pages
        for line in re.findall(r"^(?:# +\w+: +)?(ray .+)$", page.read_text("utf-8"), re.MULTILINE)
    ]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("line", ray_lines())
def test_ray_command_parses(line: str) -> None:
    verb, *rest = shlex.split(line)[1:]
    parsed = ray_cli.commands[verb].make_context(verb, rest).params
    file = parsed.get("cluster_config_file")
    assert file is None or (ROOT / file).exists()


def test_the_guide_names_every_file_and_its_links_lead_somewhere() -> None:
    text = GUIDE.read_text("utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in t]
    assert not [t for t in targets if not (GUIDE.parent / t).exists()]
    for name in (*FILES, "Dockerfile"):
        assert f"../clusters/{name}" in targets


@pytest.mark.parametrize(
    "page", [GUIDE, *sorted((ROOT / "clusters").iterdir())], ids=lambda p: p.name
)
def test_no_secret_stands_in_a_file(page: Path) -> None:
    text = page.read_text("utf-8")
    names = "secret_access_key|access_key_id|password|RAY_AUTH_TOKEN"
    assert not re.findall(rf"(?i)AKIA[0-9A-Z]{{16}}|(?:{names})\s*[=:]\s*\S", text)
    assert not re.findall(r"\b[0-9a-f]{32,}\b", text)
